"""JSON out of bytes, and where it breaks when it does."""

import re
from typing import Any, Final

import msgspec

_BOM: Final = b"\xef\xbb\xbf"
_BYTE: Final = re.compile(r" \(byte (\d+)\)$")

_HALF_PAIR: Final = re.compile(
    rb"(?<!\\)(?:\\\\)*(?:\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2})"
)

_decode: Final = msgspec.json.Decoder().decode

UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for text that is no JSON, or JSON that it does not take."""


class MalformedJson(ValueError):  # noqa: N818 - reads as what it is
    """Text that is no JSON.

    Args:
        what: a clause that says what is wrong.
        text: the text.
        byte: where, counted from 0; None where that is not known.
    """

    def __init__(self, what: str, text: bytes, byte: int | None = None) -> None:
        self.what = what
        self.line = self.column = 0
        where = ""
        if byte is not None:
            self.line = text.count(b"\n", 0, byte) + 1
            self.column = byte - text.rfind(b"\n", 0, byte)
            where = f" at line {self.line}, column {self.column} (byte {byte})"
        super().__init__(what + where)


def without_bom(text: bytes) -> bytes:
    """The text without the byte order mark that some tools put first; RFC 8259 section 8.1 lets us ignore it."""
    return text.removeprefix(_BOM)


def decode_any(text: bytes) -> Any:
    """The JSON value.

    Raises:
        MalformedJson: where it is none.
    """
    try:
        return _decode(text)
    except UNREADABLE as error:
        raise MalformedJson(*_cause(text, error)) from error


def _cause(text: bytes, error: Exception) -> tuple[str, bytes, int | None]:
    if not text.strip():
        return "it is empty", text, None
    if isinstance(error, RecursionError):
        return "it is nested too deeply", text, None
    if (byte := _first_not_utf8(text)) is not None:
        return "not UTF-8", text, byte
    half = _HALF_PAIR.search(text)
    if half:
        return "an escape that is half of a surrogate pair", text, half.start()
    return _told(str(error), text)


def _told(message: str, text: bytes) -> tuple[str, bytes, int | None]:
    """What msgspec says, in our words where its own mislead."""
    found = _BYTE.search(message)
    if found:
        return message[: found.start()].removeprefix("JSON is malformed: "), text, int(found[1])
    if message == "Input data was truncated":
        return "it ends in the middle of a value", text, len(text)
    return message[0].lower() + message[1:], text, None


def _first_not_utf8(text: bytes) -> int | None:
    try:
        text.decode()
    except UnicodeDecodeError as error:
        return error.start
    return None
