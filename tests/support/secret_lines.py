"""Log lines with secrets in them, made from a seed: the forms are those of real providers, the values are made up.

A value never stands in this file: it is put together from a prefix and random characters, with FAKE in its midst where
the form has room for it.
"""

import base64
import ipaddress
import json
import random
import string
from collections.abc import Callable
from typing import Final

import msgspec

SEED: Final = 20_261_124
LINES_EACH: Final = 4
PIECE: Final = 8
"""So many characters of a secret in a row, where it has so many, are a leak."""

_LOWER: Final = string.ascii_lowercase
_HEX: Final = "0123456789abcdef"
_UPPER: Final = string.ascii_uppercase + string.digits
_ALNUM: Final = string.ascii_letters + string.digits
_URL_SAFE: Final = f"{_ALNUM}-_"


class SecretLine(msgspec.Struct, frozen=True):
    """A line, what of it must not leave, and what sort of secret it is."""

    sort: str
    text: str
    secrets: list[str]


class _Maker:
    """Random values in the forms of secrets."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def text(self, length: int, alphabet: str = _ALNUM, marked: str = "FAKE") -> str:
        """Characters of an alphabet, with `marked` in their midst where there is room."""
        if length < 12 or not set(marked) <= set(alphabet):
            marked = ""
        chosen = "".join(self.random.choices(alphabet, k=length - len(marked)))
        return chosen[: len(chosen) // 2] + marked + chosen[len(chosen) // 2 :]

    def hex(self, length: int) -> str:
        """Hexadecimal digits in lower case, of which some are letters and some are not."""
        return f"f{self.text(length - 2, _HEX)}0"

    def password(self) -> str:
        """As people choose them: two words, digits and a sign."""
        words = "".join(self.random.choice(["Correct", "horse", "Battery", "staple", "fake"]) for _ in range(2))
        return f"{words}{self.random.choice('!#%+*')}{self.random.randrange(1_000, 9_999)}{self.text(3, _LOWER)}"

    def name(self) -> str:
        """A person's login."""
        first = self.random.choice(["fake-alice", "fake_bob", "mallory.fake", "trent-fake", "peggyfake"])
        return f"{first}{self.random.randrange(10, 99)}"

    def number(self, least: int, most: int) -> int:
        """A number in a range."""
        return self.random.randint(least, most)

    def jwt(self) -> str:
        """A JSON Web Token (RFC 7519) that nobody signed."""
        parts = (
            {"alg": "HS256", "typ": "JWT"},
            {"sub": self.name(), "iat": self.number(10**9, 2 * 10**9), "note": "FAKE"},
        )
        encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
        return ".".join([*encoded, self.text(43, _URL_SAFE)])

    def card(self, prefix: str, length: int) -> str:
        """Digits with a valid check digit."""
        digits = prefix + self.text(length - len(prefix) - 1, string.digits)
        total = 0
        for place, digit in enumerate(reversed(digits)):
            value = int(digit) * (1 if place % 2 else 2)
            total += value - 9 if value > 9 else value
        return digits + str(-total % 10)

    def base64(self, length: int) -> str:
        """Random bytes as base64 of about this length."""
        return base64.b64encode(self.random.randbytes(length * 3 // 4)).decode()


Made = tuple[str, str | list[str]]
"""A line, and the secret or secrets in it."""
Form = Callable[[_Maker], Made]


def _line(template: str, secret: Callable[[_Maker], str]) -> Form:
    """A form whose one secret stands at `{}`."""

    def made(maker: _Maker) -> Made:
        value = secret(maker)
        return template.replace("{}", value), value

    return made


def _basic(maker: _Maker) -> str:
    return base64.b64encode(f"{maker.name()}:{maker.password()}".encode()).decode()


def _grouped(digits: str, groups: tuple[int, ...], sign: str) -> str:
    parts, start = [], 0
    for size in groups:
        parts.append(digits[start : start + size])
        start += size
    return sign.join(parts)


def _ipv6(maker: _Maker) -> str:
    return str(ipaddress.IPv6Address(f"2001:db8:{maker.hex(4)}::{maker.hex(4)}:{maker.number(1, 9999)}"))


def _private_key(sign: str) -> Form:
    def made(maker: _Maker) -> Made:
        body = [maker.base64(64) for _ in range(4)]
        head, foot = (f"-----{word} RSA PRIVATE KEY-----" for word in ("BEGIN", "END"))
        return f"cannot parse key {sign.join([head, *body, foot])} of tenant 7", body

    return made


def _prefixed(prefix: str, length: int, alphabet: str = _ALNUM) -> Callable[[_Maker], str]:
    return lambda maker: prefix + maker.text(length, alphabet)


PROVIDERS: Final[dict[str, Form]] = {
    "aws access key": _line("AccessDenied: user with key {} may not PutObject", _prefixed("AKIA", 16, _UPPER)),
    "aws temporary key": _line('{"level":"error","accessKeyId":"{}","op":"GetItem"}', _prefixed("ASIA", 16, _UPPER)),
    "aws secret": _line("env AWS_SECRET_ACCESS_KEY={} AWS_REGION=eu-west-1", lambda m: m.base64(40)),
    "aws session": _line("using aws_session_token = {}", lambda m: m.base64(160)),
    "aws presigned": _line(
        "GET https://b.s3.amazonaws.com/o?X-Amz-Expires=300&X-Amz-Signature={}&x=1 403", lambda m: m.hex(64)
    ),
    "github": _line("git push failed: remote rejected token {}", _prefixed("ghp_", 36)),
    "github oauth": _line("webhook call with gho token {} answered 401", _prefixed("gho_", 36)),
    "github fine": _line("Bad credentials ({}) for repo shop/web", lambda m: f"github_pat_{m.text(22)}_{m.text(59)}"),
    "gitlab": _line("runner registration with {} was refused", _prefixed("glpat-", 20, _URL_SAFE)),
    "slack": _line("chat.postMessage invalid_auth for {}", lambda m: f"xoxb-{m.number(10**11, 10**12)}-{m.text(24)}"),
    "slack hook": _line(
        "POST https://hooks.slack.com/services/{} 404",
        lambda m: f"T{m.text(9, _UPPER)}/B{m.text(9, _UPPER)}/{m.text(24)}",
    ),
    "stripe": _line("StripeAuthenticationError: Invalid API Key provided: {}", _prefixed("sk_live_", 24)),
    "stripe hook": _line("signature mismatch, endpoint uses {}", _prefixed("whsec_", 32)),
    "openai": _line("openai.AuthenticationError: Incorrect key {} provided", _prefixed("sk-proj-", 48, _URL_SAFE)),
    "anthropic": _line("401 from messages API with {}", _prefixed("sk-ant-api03-", 80, _URL_SAFE)),
    "google": _line("Geocoding REQUEST_DENIED key={}&address=x", _prefixed("AIza", 35, _URL_SAFE)),
    "google oauth": _line("token {} expired 3 s ago", _prefixed("ya29.", 120, _URL_SAFE)),
    "google client": _line("oauth client secret {} rejected", _prefixed("GOCSPX-", 28, _URL_SAFE)),
    "sendgrid": _line("mail API says 401 for {}", lambda m: f"SG.{m.text(22, _URL_SAFE)}.{m.text(43, _URL_SAFE)}"),
    "twilio": _line("twilio auth failed sid=x token {}", lambda m: m.hex(32)),
    "twilio key": _line("twilio request signed by {} refused", lambda m: f"SK{m.hex(32)}"),
    "mailgun": _line("mailgun answered 401 to {}", lambda m: f"key-{m.hex(32)}"),
    "npm": _line("npm ERR! 403 with //registry.npmjs.org/:_authToken={}", _prefixed("npm_", 36)),
    "pypi": _line("upload refused: invalid token {}", _prefixed("pypi-AgEIcHlwaS5vcmc", 120, _URL_SAFE)),
    "vault": _line("permission denied for {} on secret/data/shop", _prefixed("hvs.", 90, _URL_SAFE)),
    "digitalocean": _line("doctl: 401 with {}", lambda m: f"dop_v1_{m.hex(64)}"),
    "shopify": _line("Shopify says 401 to {}", lambda m: f"shpat_{m.hex(32)}"),
    "databricks": _line("job submit refused for {}", lambda m: f"dapi{m.hex(32)}"),
    "huggingface": _line("cannot pull model with {}", _prefixed("hf_", 34)),
    "grafana": _line("grafana API key {} is revoked", lambda m: f"glsa_{m.text(32)}_{m.hex(8)}"),
    "new relic": _line("NerdGraph refused {}", _prefixed("NRAK-", 27, _UPPER)),
    "docker": _line("pull denied for pat {}", _prefixed("dckr_pat_", 27, _URL_SAFE)),
    "square": _line("square token {} unauthorized", _prefixed("sq0atp-", 22, _URL_SAFE)),
    "telegram": _line(
        "POST https://api.telegram.org/bot{}/sendMessage 401",
        lambda m: f"{m.number(10**9, 10**10 - 1)}:AA{m.text(33, _URL_SAFE)}",
    ),
    "discord": _line(
        "gateway closed 4004 for {}", lambda m: f"MT{m.text(24)}.{m.text(6, _URL_SAFE)}.{m.text(38, _URL_SAFE)}"
    ),
    "sentry": _line("cannot send to https://{}@o42.ingest.sentry.io/1", lambda m: m.hex(32)),
    "azure storage": _line(
        "DefaultEndpointsProtocol=https;AccountName=fake;AccountKey={};EndpointSuffix=core.windows.net",
        lambda m: m.base64(88),
    ),
    "azure sas": _line("blob read failed ?sv=2022-11-02&sp=r&sig={}%3D", lambda m: m.text(43)),
    "azure client": _line("AADSTS7000215 client_secret: {} is invalid", lambda m: f"{m.text(3)}8Q~{m.text(34)}"),
    "heroku": _line(
        "HEROKU_API_KEY={} heroku ps", lambda m: f"{m.hex(8)}-{m.hex(4)}-4{m.hex(3)}-a{m.hex(3)}-{m.hex(12)}"
    ),
}  # fmt: skip

PASSWORDS: Final[dict[str, Form]] = {
    "k=v": _line("login failed user=app password={} attempts=3", _Maker.password),
    "quoted k=v": _line('level=error msg="auth failed" password="{}" user=app', _Maker.password),
    "json": _line('{"user":"app","password":"{}","ok":false}', _Maker.password),
    "spaced json": _line('{ "db_passwd" : "{}", "retries" : 3 }', _Maker.password),
    "escaped json": _line(r"request body: \"{\\\"secret\\\":\\\"{}\\\",\\\"n\\\":1}\"", _Maker.password),
    "yaml": _line("bad config near 'smtp_password: {}' in values.yaml", _Maker.password),
    "url query": _line("GET /login?user=app&password={}&next=%2F 401", lambda m: m.text(14)),
    "url fragment": _line("callback https://app.example.com/cb#access_token={}&expires_in=3600", lambda m: m.text(32)),
    "form": _line("body username=app&passwd={}&remember=on", lambda m: m.text(14)),
    "encoded form": _line("body grant_type%3Dpassword%26client_secret%3D{}", lambda m: m.text(20)),
    "header": _line("request headers: Host=api X-Api-Key: {} Accept: */*", lambda m: m.text(24)),
    "python dict": _line("config {'host': 'db', 'password': '{}', 'port': 5432} rejected", _Maker.password),
    "python call": _line("connect(host='db', passwd='{}') raised OperationalError", _Maker.password),
    "ruby hash": _line('params {:user=>"app", :password=>"{}"}', _Maker.password),
    "php array": _line("Array ( [user] => app [password] => {} )", _Maker.password),
    "java object": _line("Credentials{user=app, password={}}", lambda m: m.text(14)),
    "go struct": _line("cfg: {Host:db User:app Password:{} Port:5432}", lambda m: m.text(14)),
    "xml": _line("<login><user>app</user><password>{}</password></login>", _Maker.password),
    "xml attribute": _line('<datasource user="app" password="{}"/>', _Maker.password),
    "argument": _line("exec mysqldump --user app --password {} shop: exit 2", lambda m: m.text(14)),
    "short argument": _line("exec sshpass -p {} ssh app@host failed", lambda m: m.text(14)),
    "curl": _line("curl -u app:{} https://api.example.com answered 401", _Maker.password),
    "sql": _line("syntax error: CREATE USER app IDENTIFIED BY '{}'", _Maker.password),
    "alter role": _line("statement: ALTER ROLE app WITH PASSWORD '{}'", _Maker.password),
    "sentence": _line("the password is {} but the account is locked", lambda m: m.text(14)),
    "environment": _line("missing after export REDIS_AUTH={}", lambda m: m.text(18)),
    "properties": _line('sasl.jaas.config=PlainLoginModule required username="app" password="{}";', _Maker.password),
    "webhook": _line("hook called with secret: {}", lambda m: m.text(20)),
    "odbc": _line("Driver={PG};Server=db;Uid=app;Pwd={};Database=shop", lambda m: m.text(14)),
    "sql server": _line("Server=tcp:db,1433;User ID=sa;Password={};Encrypt=True", lambda m: m.text(14)),
}  # fmt: skip

CONNECTIONS: Final[dict[str, Form]] = {
    f"{scheme} url": _line(f"cannot connect to {scheme}://app:{{}}@db.internal:1234/shop", lambda m: m.text(14))
    for scheme in ("postgresql", "mysql", "mongodb+srv", "amqps", "redis", "jdbc:postgresql", "smtp", "ftp", "https")
} | {
    "redis without user": _line("NOAUTH from redis://:{}@cache:6379/0", lambda m: m.text(16)),
    "jdbc query": _line("jdbc:postgresql://db/shop?user=app&password={}&ssl=true failed", lambda m: m.text(14)),
    "oracle": _line("ORA-01017 for jdbc:oracle:thin:app/{}@//db:1521/shop", lambda m: m.text(14)),
    "token in url": _line("git clone https://{}@git.example.com/shop.git failed", lambda m: m.text(30)),
}  # fmt: skip

HEADERS: Final[dict[str, Form]] = {
    "bearer": _line("Authorization: Bearer {} rejected", lambda m: m.text(40)),
    "bearer json": _line('{"headers":{"authorization":"Bearer {}"}}', lambda m: m.text(40)),
    "basic": _line("Authorization: Basic {} rejected", _basic),
    "jwt": _line("token {} has expired", _Maker.jwt),
    "jwt header": _line("authorization=Bearer {} aud mismatch", _Maker.jwt),
    "jwt in url": _line("GET /ws?jwt={}&v=2 403", _Maker.jwt),
    "cookie": _line("Cookie: theme=dark; SESSIONID={}; lang=en", lambda m: m.text(32)),
    "set-cookie": _line("Set-Cookie: sid={}; Path=/; HttpOnly", lambda m: m.text(32)),
    "oauth refresh": _line('{"error":"invalid_grant","refresh_token":"{}"}', lambda m: m.text(43, _URL_SAFE)),
    "oauth code": _line("GET /callback?code={}&state=x 400", lambda m: m.text(40, _URL_SAFE)),
    "csrf": _line("X-CSRF-Token: {} does not match", lambda m: m.text(32)),
    "api key header": _line("x-api-key={} over quota", lambda m: m.text(32)),
}  # fmt: skip

PERSONS: Final[dict[str, Form]] = {
    "email": _line("mail to {}@example.com bounced: mailbox full", _Maker.name),
    "email in brackets": _line("RCPT TO:<{}+shop@mail.example.co.uk> 550 no such user", _Maker.name),
    "email in k=v": _line("signup failed email={}@example.org plan=pro", _Maker.name),
    "email in url": _line("GET /u?email={}%40example.com&x=1 500", _Maker.name),
    "email in json": _line('{"to":["{}@example.net"],"status":"failed"}', _Maker.name),
    "mailto": _line("link mailto:{}@example.com clicked", _Maker.name),
    "ipv4": _line("connect to {}:5432 refused", lambda m: f"203.0.113.{m.number(1, 254)}"),
    "ipv4 client": _line("client={} limit exceeded", lambda m: f"198.51.100.{m.number(1, 254)}"),
    "ipv4 in nginx": _line('{} - - "GET / HTTP/1.1" 502 157', lambda m: f"10.{m.number(1, 254)}.7.{m.number(1, 254)}"),
    "ipv4 in host": _line(
        "node ip-{}.eu-west-1.compute.internal NotReady", lambda m: f"10-{m.number(1, 254)}-7-{m.number(1, 254)}"
    ),
    "ipv6": _line("no route to host {} via eth0", _ipv6),
    "ipv6 with port": _line("dial tcp [{}]:443: timeout", _ipv6),
    "mapped ip": _line("from ::ffff:{} port 22", lambda m: f"192.0.2.{m.number(1, 254)}"),
    "visa": _line("card {} declined", lambda m: _grouped(m.card("4", 16), (4, 4, 4, 4), " ")),
    "mastercard": _line('{"pan":"{}","code":51}', lambda m: m.card("55", 16)),
    "amex": _line("charge on {} failed", lambda m: _grouped(m.card("37", 15), (4, 6, 5), "-")),
    "card in k=v": _line("payment pan={} amount=1200 declined", lambda m: m.card("4", 16)),
    "home": _line("cannot open /home/{}/app/config.toml", _Maker.name),
    "mac home": _line('File "/Users/{}/dev/shop/main.py", line 7', _Maker.name),
    "windows home": _line(r"Access denied: C:\Users\{}\AppData\Local\shop.db", _Maker.name),
    "file url": _line("cannot read file:///home/{}/report.pdf", _Maker.name),
    "ssn": _line(
        "duplicate ssn {} in import", lambda m: f"{m.number(100, 665)}-{m.number(10, 99)}-{m.number(1000, 9999)}"
    ),
    "private key": _private_key("\n"),
    "private key in json": _private_key("\\n"),
}  # fmt: skip

FORMS: Final = {
    f"{group}: {name}": form
    for group, forms in (
        ("provider", PROVIDERS),
        ("password", PASSWORDS),
        ("connection", CONNECTIONS),
        ("header", HEADERS),
        ("person", PERSONS),
    )
    for name, form in forms.items()
}


def secret_lines(each: int = LINES_EACH, seed: int = SEED) -> list[SecretLine]:
    """`each` lines of every form; the same for the same seed."""
    maker = _Maker(seed)
    lines = []
    for sort, form in FORMS.items():
        for _ in range(each):
            text, secrets = form(maker)
            lines.append(SecretLine(sort, text, [secrets] if isinstance(secrets, str) else secrets))
    return lines


def leaked(lines: list[SecretLine], outgoing: str) -> list[tuple[str, str]]:
    """The secrets of which a piece can be read in a text, as it is or as JSON writes it, with their sort."""
    owners = {
        piece: (line.sort, secret)
        for line in lines
        for secret in line.secrets
        for form in {secret, json.dumps(secret)[1:-1]}
        for piece in _pieces(form)
    }
    lengths = {len(piece) for piece in owners}
    seen = {outgoing[start : start + length] for length in lengths for start in range(len(outgoing))}
    return sorted({owner for piece, owner in owners.items() if piece in seen})


def _pieces(secret: str) -> list[str]:
    return [secret[start : start + PIECE] for start in range(max(1, len(secret) - PIECE + 1))]
