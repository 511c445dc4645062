"""The template of a log message: what stays when the parts that change from event to event are masked.

One pass of one regular expression whose every repetition is bounded, so the time is linear in the message's length.
"""

import re
from hashlib import blake2b
from typing import Final

_HEX: Final = "[0-9A-Fa-f]"
_TIMESTAMP: Final = (
    r"\d{4}[-/]\d{2}[-/]\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2})?)?(?!\d)"
    r"|\d{1,2}:\d{2}:\d{2}(?:[.,]\d{1,9})?(?![\d:])"
)
_MASKS: Final = re.compile(
    r"(?P<str>\"[^\"\n]{0,256}\"|(?<!\w)'[^'\n]{0,256}'(?!\w))"
    rf"|(?<![0-9A-Za-z])(?:(?P<uuid>{_HEX}{{8}}(?:-{_HEX}{{4}}){{3}}-{_HEX}{{12}})"
    rf"|(?P<time>{_TIMESTAMP})"
    r"|(?P<ip>\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?(?![\d.])"
    rf"|(?=[0-9A-Fa-f]{{0,4}}:[0-9A-Fa-f:]{{0,40}}:)(?:{_HEX}{{1,4}}:{{1,2}}){{2,7}}{_HEX}{{0,4}}(?![\w:]))"
    rf"|(?P<hex>0x{_HEX}{{1,64}}|(?=[A-Fa-f]{{0,64}}\d)(?=\d{{0,64}}[A-Fa-f]){_HEX}{{8,512}}))(?![0-9A-Za-z])"
    r"|(?P<num>(?<![A-Za-z0-9])[+-]?\d{1,64}(?:[.,]\d{1,64}){0,8}|\d{4,64})"
)


def template_of(message: str) -> str:
    """`message` with numbers, hex, UUIDs, IP addresses, timestamps and quoted strings as `<num>`, `<hex>` and so on."""
    return _MASKS.sub(lambda found: f"<{found.lastgroup}>", message)


def template_fingerprint(message: str) -> int:
    """64 bits that are the same for messages with the same template."""
    return int.from_bytes(
        blake2b(template_of(message).encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little"
    )
