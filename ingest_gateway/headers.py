"""The request headers that decide how a body is read."""

from collections.abc import Iterable
from email.message import Message
from functools import lru_cache
from typing import Final

import msgspec

from ingest_gateway import refusal

CANARY_HEADER: Final = b"ops-assist-canary"
"""Holds the word by which a gateway knows its own canary."""

_UTF8 = frozenset({"utf-8", "utf8", "us-ascii"})


class BodyHeaders(msgspec.Struct, frozen=True):
    """What the headers say of the body. `length` is None where it is not told beforehand."""

    media_type: str
    gzipped: bool
    length: int | None
    idempotency_key: bytes
    canary_token: bytes = b""


def body_headers(headers: Iterable[tuple[bytes, bytes]]) -> BodyHeaders:
    """Read the headers of an ASGI scope.

    Raises:
        Refusal: 415 for a charset or an encoding that the gateway does not read.
    """
    media_type, gzipped, length, key, token = b"", False, None, b"", b""
    for name, value in headers:
        if name == b"content-type":
            media_type = value
        elif name == b"content-length":
            length = int(value)
        elif name == b"content-encoding":
            gzipped = _gzipped(value)
        elif name == b"idempotency-key":
            key = _unquoted(value.strip())
        elif name == CANARY_HEADER:
            token = value
    return BodyHeaders(_media_type(media_type), gzipped, length, key, token)


def _unquoted(key: bytes) -> bytes:
    """The draft has the key as a string of RFC 8941, in quotes; many senders leave them out."""
    return key[1:-1] if len(key) > 1 and key[:1] == key[-1:] == b'"' else key


def _gzipped(value: bytes) -> bool:
    encoding = value.decode("latin-1").strip().lower()
    if encoding in ("gzip", "x-gzip"):
        return True
    if encoding in ("", "identity"):
        return False
    raise refusal.unsupported(
        f"Content-Encoding {encoding!r} is not read here; send gzip or nothing", **{"Accept-Encoding": "gzip"}
    )


@lru_cache(maxsize=256)
def _media_type(value: bytes) -> str:
    message = Message()
    message["content-type"] = value.decode("latin-1")
    charset = message.get_param("charset", "utf-8")
    if not isinstance(charset, str) or charset.lower() not in _UTF8:
        raise refusal.unsupported(f"The charset {charset!r} is not read here; send UTF-8")
    return message.get_content_type() if value else ""
