"""Gunzip piece by piece, so that a small body that would unpack to gigabytes never does."""

import zlib
from typing import Final

from ingest_gateway import refusal

_GZIP: Final = 16 + zlib.MAX_WBITS
_MAX_MEMBERS: Final = 1_000
"""A gzip file may be several, one after the other; each costs a new decompressor, so their number is bounded."""


class Gunzip:
    """A decompressor that gives at most `limit` bytes in all."""

    def __init__(self, limit: int) -> None:
        self._left = limit
        self._members = 0
        self._member = zlib.decompressobj(_GZIP)
        self._begun = False

    def feed(self, data: bytes) -> bytes:
        """What `data` unpacks to.

        Raises:
            Refusal: 400 where it is no gzip, 413 where it unpacks to more than the limit.
        """
        pieces = []
        while data:
            if self._member.eof:
                self._next_member()
            pieces.append(self._inflate(data))
            data = self._member.unused_data
        return b"".join(pieces)

    def finish(self) -> None:
        """Say that nothing follows.

        Raises:
            Refusal: 400 where the stream is not complete.
        """
        if not self._member.eof:
            raise refusal.malformed(
                "The gzip body ends before its end mark; send it again in full"
                if self._begun
                else "Content-Encoding says gzip, but the body is empty"
            )

    def _inflate(self, data: bytes) -> bytes:
        self._begun = True
        try:
            piece = self._member.decompress(data, self._left + 1)
        except zlib.error as error:
            raise refusal.malformed(f"Content-Encoding says gzip, but the body cannot be unpacked: {error}") from error
        self._left -= len(piece)
        if self._left < 0:
            raise refusal.too_large("The body unpacks to more than 8 MiB; send it in smaller parts")
        return piece

    def _next_member(self) -> None:
        self._members += 1
        if self._members >= _MAX_MEMBERS:
            raise refusal.malformed(f"The gzip body has more than {_MAX_MEMBERS} members")
        self._member = zlib.decompressobj(_GZIP)
