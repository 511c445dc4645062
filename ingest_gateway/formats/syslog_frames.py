"""Messages out of a stream of syslog over TCP, by RFC 6587: counted octets, or a trailer behind each message.

How a connection frames is seen at its beginning: a number, a space and `<` are a count (section 3.4.1), anything else
is text with a trailer (3.4.2): LF, or NUL, which some senders write (Python's SysLogHandler).
"""

import re
from collections.abc import Iterator
from typing import Final

import msgspec

MAX_MESSAGE_BYTES: Final = 64 * 1024
"""What is kept of a message; RFC 5424 section 6.1 asks for 2,048 at least."""

_MOST_DIGITS: Final = 9
_COUNTED: Final = re.compile(rb"[1-9]\d{0,%d} <" % (_MOST_DIGITS - 1))
_MAYBE_COUNTED: Final = re.compile(rb"[1-9]\d{0,%d} ?" % (_MOST_DIGITS - 1))
_COUNT: Final = re.compile(rb"([1-9]\d{0,%d}) " % (_MOST_DIGITS - 1))
_TRAILER: Final = re.compile(rb"[\n\0]")


class Frame(msgspec.Struct, frozen=True):
    """One message as it came; `is_cut`: it was longer, and the rest is passed over."""

    value: bytes
    is_cut: bool = False


class Frames:
    """The framing of one connection; holds at most a message and what was fed last."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._is_counted: bool | None = None
        self._passing_over = 0  # octets of a counted message whose beginning is out already
        self._in_long_line = False
        self.fault: str | None = None
        """Set where a count should stand and there is none: nobody can say where the next message begins."""

    @property
    def is_within_message(self) -> bool:
        """Whether some of a message has come, and not all of it."""
        return bool(self._buffer)

    def feed(self, octets: bytes | bytearray) -> Iterator[Frame]:
        """The messages that are whole once `octets` have come, up to a fault."""
        self._buffer += octets
        if self._is_counted is None:
            self._is_counted = self._detect()
        if self._is_counted is not None:
            yield from self._counted() if self._is_counted else self._lines()

    def end(self) -> Frame | None:
        """What is left once the sender has ended the connection: a last line may lack its trailer."""
        rest, self._buffer = bytes(self._buffer), bytearray()
        if self._is_counted or not rest.strip() or self._in_long_line:
            return None
        return Frame(rest)

    def _detect(self) -> bool | None:
        if _COUNTED.match(self._buffer):
            return True
        return None if not self._buffer or _MAYBE_COUNTED.fullmatch(self._buffer) else False

    def _counted(self) -> Iterator[Frame]:
        while self._pass_over() and self._buffer:
            found = _COUNT.match(self._buffer)
            if found is None:
                if not _MAYBE_COUNTED.fullmatch(self._buffer):
                    self.fault = f"expected the octet count of a message, found {bytes(self._buffer[:40])!r}"
                return
            length, start = int(found[1]), found.end()
            kept = min(length, MAX_MESSAGE_BYTES)
            if len(self._buffer) < start + kept:
                return
            yield Frame(bytes(self._buffer[start : start + kept]), kept < length)
            del self._buffer[: start + kept]
            self._passing_over = length - kept

    def _pass_over(self) -> bool:
        """Drop what is left of a message that was cut; whether all of it is gone."""
        dropped = min(self._passing_over, len(self._buffer))
        del self._buffer[:dropped]
        self._passing_over -= dropped
        return self._passing_over == 0

    def _lines(self) -> Iterator[Frame]:
        *whole, rest = _TRAILER.split(self._buffer)
        self._buffer = bytearray(rest)
        for line in whole:
            if not self._in_long_line and line.strip():
                yield _cut(line)
            self._in_long_line = False
        if self._in_long_line:
            self._buffer.clear()
        elif len(self._buffer) > MAX_MESSAGE_BYTES:
            yield _cut(self._buffer)
            self._buffer.clear()
            self._in_long_line = True


def _cut(line: bytes | bytearray) -> Frame:
    return Frame(bytes(line[:MAX_MESSAGE_BYTES]).removesuffix(b"\r"), len(line) > MAX_MESSAGE_BYTES)
