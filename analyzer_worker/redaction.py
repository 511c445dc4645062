"""Take secrets and personal data out of text before it leaves for a model.

An ordered table of bounded regular expressions: every repetition has an upper limit, so the time is linear in the
length of the text. What is found is replaced by `<redacted:KIND>`, which no expression matches again: redacting twice
gives what redacting once gives. What was redacted is counted by kind and never logged. In doubt too much is taken out.
"""

import re
from collections import Counter
from collections.abc import Callable
from ipaddress import AddressValueError, IPv6Address
from typing import Final

import msgspec

_NAMES: Final = (
    r"(?:password|passwd|passphrase|passcode|secret|token|credential|api[_\- ]?key|apikey|access[_\-]?key|"
    r"private[_\-]?key|account[_\-]?key|encryption[_\-]?key|signing[_\-]?key|authorization|connection[_\-]?string|"
    r"session[_\-]?id|sessionid|jsessionid|cookie|shared[_\-]?key|signature|"
    r"\b(?:pwd|pass|pw|auth|pin|otp|cvv|cvc|ssn|sid|sig|dsn)\b|[_\-](?:pwd|pass|pw|auth|pin|otp|key|sig)\b|\bkey\b)"
)
# Not where a class is named, as in `TokenService: started`: what follows is a sentence of it.
_REST_OF_NAME: Final = (
    r"(?![A-Za-z0-9_.\-]{0,48}(?-i:Exception|Error|Fault|Failure|Service|Manager|Provider|Handler|Filter|Validator"
    r"|Factory|Client|Controller|Encoder|Interceptor|Middleware|Store):\s)[A-Za-z0-9_.\-]{0,24}"
)
# Atomic: once what stands behind it was redacted, no shorter way to read the sign is tried.
_IS: Final = r"(?>(?:\\{0,3}[\"'])?\]?\s{0,3}(?:=>|:=|==|[=:]|%3[AaDd])\s{0,3})"
_NOT_AGAIN: Final = r"(?!\\{0,3}[\"']?<redacted:)"
# Words that say how it stands with a secret and are none.
_STATE: Final = (
    r"(?!\\{0,3}[\"']?(?:yes|no|true|false|null|none|nil|ok|failed|failure|success|successful|denied|disabled|enabled"
    r"|unavailable|expired|invalid|missing|required|mismatch|rejected|refused|revoked|wrong|empty|unknown|not|cannot"
    r"|timeout)(?:[\s,;.)\]}\\\"']|$))"
)
_VALUE: Final = (
    r"(?:\\\"(?:(?!\\\").){0,1024}"  # \"escaped JSON\"
    r"|\"(?:\\.|[^\"\\\n]){0,1024}"  # "quoted"
    r"|'(?:\\.|[^'\\\n]){0,1024}"  # 'quoted'
    # A bare value runs to white space, or to a separator that another name or a quote follows.
    r"|(?:[^\s\"'&;,]|[&;,](?![\"'\s]|$|[A-Za-z_][\w.\-]{0,40} {0,2}[A-Za-z]{0,20}[=:])|[\"'](?=[A-Za-z0-9])){1,1024})"
)
_LUHN_DOUBLED: Final = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)

Replace = Callable[[re.Match[str]], str | None]
"""What stands in a match's place; None leaves it as it is."""


class Redactor(msgspec.Struct, frozen=True):
    """One line of the table."""

    kind: str
    pattern: re.Pattern[str]
    replace: Replace


_LEAST_CARD: Final = 13


class Redacted(msgspec.Struct, frozen=True):
    """A text without what was found in it, and how much of each kind was found."""

    text: str
    counts: dict[str, int]


def redact(text: str) -> Redacted:
    """Take everything out that the table knows."""
    counts: Counter[str] = Counter()
    for redactor in TABLE:
        text = redactor.pattern.sub(_counting(redactor, counts), text)
    return Redacted(text, dict(counts))


def _counting(redactor: Redactor, counts: Counter[str]) -> Callable[[re.Match[str]], str]:
    def replace(match: re.Match[str]) -> str:
        replacement = redactor.replace(match)
        if replacement is None:
            return match.group()
        counts[redactor.kind] += 1
        return replacement

    return replace


def _all(kind: str) -> Replace:
    return lambda _: f"<redacted:{kind}>"


def _after_first_group(kind: str) -> Replace:
    return lambda match: f"{match[1]}<redacted:{kind}>"


def _value(match: re.Match[str]) -> str:
    """Keep the name and an opening quote; the closing one is not part of the match."""
    opening = re.match(r"\\?[\"']?", match[2])
    return f"{match[1]}{opening[0] if opening else ''}<redacted:secret>"


def _card(match: re.Match[str]) -> str | None:
    """Digits are a card number if any of their groups together have its length and its check digit (ISO/IEC 7812-1)."""
    groups = re.split(r"[ \-]", match.group())
    runs = ("".join(groups[start:end]) for start in range(len(groups)) for end in range(start + 1, len(groups) + 1))
    return "<redacted:card>" if any(len(run) >= _LEAST_CARD and _has_check_digit(run) for run in runs) else None


def _has_check_digit(digits: str) -> bool:
    values = [int(digit) for digit in reversed(digits)]
    return sum(_LUHN_DOUBLED[value] if place % 2 else value for place, value in enumerate(values)) % 10 == 0


def _ipv6(match: re.Match[str]) -> str | None:
    try:
        IPv6Address(match.group())
    except AddressValueError:
        return None
    return "<redacted:ip>"


def _line(kind: str, pattern: str, replace: Replace | None = None) -> Redactor:
    return Redactor(kind, re.compile(pattern), replace or _all(kind))


TABLE: Final[tuple[Redactor, ...]] = (
    _line("private_key", r"(?s)-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY.{0,8192}?(?:-----END [A-Z0-9 ]{0,60}-----|\Z)"),
    _line("jwt", r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{6,4096}\.[A-Za-z0-9_-]{2,4096}(?:\.[A-Za-z0-9_-]{0,4096}){0,3}"),
    _line(
        "url_credentials",
        r"(?<![A-Za-z0-9+.-])([A-Za-z][A-Za-z0-9+.\-]{1,30}://)(?!<redacted:)"
        r"(?:[^\s/@:\"'<>]{0,128}:[^\s\"'<>]{1,256}|[^\s/@\"'<>]{1,256})(?=@)",
        _after_first_group("url_credentials"),
    ),
    _line(
        "token",  # the scheme goes too: what stands in its place may be the token
        rf"(?i)\b((?:proxy-)?authorization{_IS}\\?[\"']?){_NOT_AGAIN}"
        r"(?:[A-Za-z][A-Za-z0-9\-]{1,24}\s{1,3})?(?!<redacted:)[^\s\"',]{1,4096}",
        _after_first_group("token"),
    ),
    _line(
        "secret",
        r"(?i)\b((?:set-)?cookie[\"']?\s{0,3}[:=]\s{0,3}[\"']?)(?!<redacted:)"
        r"[^\s;\"']{1,1024}(?:; {0,2}[^\s;\"'=]{1,128}=[^\s;\"']{0,1024}){0,64}",
        _after_first_group("secret"),
    ),
    _line(
        "token",
        r"(?i)\b((?:bearer|basic|negotiate|digest|apikey|aws4-hmac-sha256)\s{1,3})"
        r"(?=\S{0,64}[\d=+/_.\-]|\S{16})[A-Za-z0-9._~+/=\-]{4,4096}",
        _after_first_group("token"),
    ),
    _line(
        "token",
        r"(?<![A-Za-z0-9])(?:(?:AKIA|ASIA|AGPA|AIDA|AROA)[0-9A-Z]{12,32}|gh[pousr]_[A-Za-z0-9]{16,255}"
        r"|github_pat_[A-Za-z0-9_]{16,255}|xox[abeoprs]-[A-Za-z0-9-]{8,255}|xapp-[A-Za-z0-9-]{8,255}"
        r"|(?:sk|rk|pk)[-_][A-Za-z0-9_-]{10,255}|AIza[0-9A-Za-z_-]{20,64}|glpat-[A-Za-z0-9_-]{10,64}"
        r"|npm_[A-Za-z0-9]{16,64}|pypi-[A-Za-z0-9_-]{16,255}|SG\.[A-Za-z0-9_-]{8,64}\.[A-Za-z0-9_-]{8,128}"
        r"|hv[sb]\.[A-Za-z0-9_-]{16,255}|do[po]_v1_[a-f0-9]{16,128}|shp(?:at|ca|pa|ss)_[A-Za-z0-9]{16,64}"
        r"|whsec_[A-Za-z0-9+/=]{16,128}|ya29\.[A-Za-z0-9_-]{16,512}|dapi[a-f0-9]{16,64}|lin_api_[A-Za-z0-9]{16,64}"
        r"|NRAK-[A-Z0-9]{16,64}|sq0[a-z]{3}-[A-Za-z0-9_-]{16,64}|hf_[A-Za-z0-9]{16,64}|gls[ac]_[A-Za-z0-9_]{16,64}"
        r"|dckr_pat_[A-Za-z0-9_-]{16,64}|GOCSPX-[A-Za-z0-9_-]{16,64}|(?:bot)?\d{8,10}:[A-Za-z0-9_-]{35}"
        r"|[MNO][A-Za-z0-9_-]{22,28}\.[A-Za-z0-9_-]{6,7}\.[A-Za-z0-9_-]{27,40}"
        r"|T[A-Z0-9]{7,11}/B[A-Z0-9]{7,11}/[A-Za-z0-9]{16,32})",
    ),
    _line(
        "url_credentials",
        r"(?i)(\bjdbc:oracle:\w{1,8}:)[^\s/@<>]{1,64}/[^\s@]{1,128}(?=@)",
        _after_first_group("url_credentials"),
    ),
    _line(
        "secret",  # <password>...</password>, with or without a namespace
        rf"(?i)(<(?:\w{{1,16}}:)?{_NAMES}{_REST_OF_NAME}>)(?!<redacted:)[^<]{{1,1024}}(?=</)",
        _after_first_group("secret"),
    ),
    _line("secret", rf"(?is)({_NAMES}{_REST_OF_NAME}{_IS}){_NOT_AGAIN}{_STATE}({_VALUE})", _value),
    _line(
        "secret",
        r"(?i)((?<![A-Za-z0-9])--?(?:password|passwd|pass|token|secret|api-?key|key|auth)\s{1,3}[\"']?)"
        r"(?![\"']?<redacted:)[^\s\"']{1,512}",
        _after_first_group("secret"),
    ),
    _line(
        "secret",  # curl -u user:password
        r"(?i)((?<![A-Za-z0-9\-])(?:-u|--(?:proxy-)?user)[ =]{1,3}[\"']?[^\s:\"'<>/]{1,64}:)"
        r"(?!<redacted:)[^\s\"']{1,256}",
        _after_first_group("secret"),
    ),
    _line(
        "secret",
        r"(?i)(\b(?:sshpass\s{1,3}-p\s{0,3}|mysql(?:dump|admin)?\b[^\n;|]{0,120}?\s-p)[\"']?)(?!<redacted:)[^\s\"']{1,256}",
        _after_first_group("secret"),
    ),
    _line(
        "secret",  # WITH PASSWORD 'x'
        r"(?i)(\bpassword\s{1,3}([\"']))(?!<redacted:)[^\"'\n]{1,256}(?=\2)",
        _after_first_group("secret"),
    ),
    _line(
        "secret",
        r"(?i)(\b(?:password|passphrase|passcode|pin|secret|api key|identified)\s{1,3}(?:is|was|by|of)\s{1,3}[\"']?)"
        r"(?!<redacted:|(?:not|in\w{0,12}|un\w{0,12}|no|expired|missing|required|wrong|too|null|empty|valid|set|weak|"
        r"rejected|the|a|an)\b)[^\s\"']{3,256}",
        _after_first_group("secret"),
    ),
    _line(
        "email",
        r"(?<![^\s@<>\"(),:;=\[\]{}|/])[^\s@<>\"(),:;=\[\]{}|/]{1,128}?(?:@|%40)[\w\-]{1,63}(?:\.[\w\-]{1,63}){0,8}\.[^\W\d_]{2,24}",
    ),
    _line("ssn", r"(?<![\w\-])\d{3}-\d{2}-\d{4}(?![\w\-])"),
    _line("ip", r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?!\d|\.\d)"),
    _line("ip", r"(?<![\w\-])ip-\d{1,3}(?:-\d{1,3}){3}(?![\d\-])"),
    _line("ip", r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])", _ipv6),
    # After the other numbers, which would hide one that stands beside them.
    _line("card", r"(?<![\w.\-])\d(?:[ \-]?\d){12,18}(?![\w\-])", _card),
    _line(
        "user",
        r"((?:/home|/Users|/export/home|/var/home)/|[A-Za-z]:\\{1,4}(?:Users|Documents and Settings)\\{1,4})"
        r"(?!<redacted:)(?:[^\\/\s\"':,;<>]{1,64}(?: [^\\/\s\"':,;<>]{1,32}){0,2}(?=[\\/])|[^\\/\s\"':,;<>]{1,64})",
        _after_first_group("user"),
    ),
    # What is long and looks random is a key until someone says otherwise; UUIDs, with their hyphens, stay.
    _line("key", r"(?<![A-Za-z0-9])(?:[0-9a-f]{32,512}|[0-9A-F]{32,512})(?![A-Za-z0-9])"),
    _line(
        "key",
        r"(?<![A-Za-z0-9+/_\-])(?=[A-Za-z+/_\-]{0,64}\d)(?=[a-z0-9+/_\-]{0,64}[A-Z])(?=[A-Z0-9+/_\-]{0,64}[a-z])"
        r"[A-Za-z0-9+/_\-]{32,1024}={0,2}",
    ),
)
