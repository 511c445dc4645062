"""The template of a message: what is left when all that varies from one event to the next is masked.

Masking numbers, addresses and ids before messages are grouped is the first step of Drain (He, Zhu, Zheng and Lyu,
"Drain: An Online Log Parsing Approach with Fixed Depth Tree", ICWS 2017, section III-A); here it is the only one, so
that the template of a message depends on no other message. The time is in proportion to the length of the message: it
is cut into words by hand, and patterns see a word of bounded length at a time.
"""

import re
from collections.abc import Iterator
from hashlib import blake2b
from typing import Final

MAX_TEXT: Final = 4_096
"""Characters of a message that are looked at."""

MAX_WORDS: Final = 40
"""Words of a template: of a longer message its beginning tells what it is about."""

MAX_WORD: Final = 64
"""Characters of a word that are looked at; a longer one is told by these and by being longer."""

_QUOTES: Final = "\"'`"
_HEX: Final = "[0-9A-Fa-f]"
_VARIABLE: Final = re.compile(
    rf"""
      (?P<uuid> {_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}} )
    | (?P<time> [0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}} (?: T[0-9:.,]+ (?: Z|[+-][0-9:]{{2,5}} )? )?
              | [0-9]{{1,2}}:[0-9]{{2}}:[0-9]{{2}} (?: [.,][0-9]+ )? (?: Z|[+-][0-9:]{{4,5}} )? )
    | (?P<ip> [0-9]{{1,3}}(?:\.[0-9]{{1,3}}){{3}} | (?:{_HEX}{{0,4}}:){{3,7}}{_HEX}{{0,4}} )
    | (?P<email> [0-9A-Za-z.+-]{{1,64}}@[0-9A-Za-z.-]{{1,64}} )
    | (?P<hex> 0[xX]{_HEX}+ )
    | (?P<run> [0-9A-Za-z]+ )
    """,
    re.VERBOSE | re.ASCII,
)
_NUMBER_AND_UNIT: Final = re.compile(r"[0-9]+([A-Za-z]{0,3})", re.ASCII)
_NAME_AND_NUMBER: Final = re.compile(r"([A-Za-z]+)[0-9]{1,5}", re.ASCII)
_HEX_RUN: Final = re.compile(rf"(?=[0-9A-Fa-f]*[0-9]){_HEX}{{8,}}", re.ASCII)
_DECIMALS: Final = re.compile(r"<num>(?:[.,]<num>)+")


def template_of(message: str) -> str:
    """The template of `message`: at most `MAX_WORDS` words with one space between, masks in angle brackets."""
    masked = []
    for word in _words(message[:MAX_TEXT]):
        masked.append(word if word == "<str>" else _mask(word))
        if len(masked) == MAX_WORDS:
            break
    return " ".join(masked)


def template_fingerprint(text: str) -> int:
    """64 bits of a template, to remember that it was seen.

    Of n templates two collide with probability about n**2 / 2**65 (birthday bound): 5e-13 at 4,096.
    """
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def _words(text: str) -> Iterator[str]:
    """The words of `text`; what stands in quotes is one word, `<str>`."""
    unclosed: set[str] = set()
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
        elif text[at] in _QUOTES and (end := _closing(text, at, unclosed)):
            yield "<str>"
            at = end + 1
        else:
            start = at
            at += 1
            while at < len(text) and not text[at].isspace() and not _opens(text, at):
                at += 1
            yield text[start:at]


def _opens(text: str, at: int) -> bool:
    """Whether a quote here may open: one behind a letter or a digit is an apostrophe."""
    return text[at] in _QUOTES and not text[at - 1].isalnum()


def _closing(text: str, at: int, unclosed: set[str]) -> int:
    """Where the quote at `at` closes; 0: nowhere, which is found out once for each kind of quote."""
    quote = text[at]
    if quote in unclosed:
        return 0
    end = text.find(quote, at + 1)
    if end < 0:
        unclosed.add(quote)
    return max(end, 0)


def _mask(word: str) -> str:
    shown = _DECIMALS.sub("<num>", _VARIABLE.sub(_mask_found, word[:MAX_WORD]))
    return f"{shown}..." if len(word) > MAX_WORD else shown


def _mask_found(found: re.Match[str]) -> str:
    kind, text = found.lastgroup, found.group()
    return f"<{kind}>" if kind != "run" else _mask_run(text)


def _mask_run(run: str) -> str:
    """Letters and digits together: a number with its unit, a name with its number, or an id."""
    if run.isalpha():
        return run
    if number := _NUMBER_AND_UNIT.fullmatch(run):
        return f"<num>{number[1]}"
    if name := _NAME_AND_NUMBER.fullmatch(run):
        return f"{name[1]}<num>"
    return "<hex>" if _HEX_RUN.fullmatch(run) else "<id>"
