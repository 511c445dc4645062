"""The raw body of a request, never more of it in memory than the limits allow."""

import asyncio
from typing import Final

from starlette.types import Message, Receive

from ingest_gateway import refusal
from ingest_gateway.budget import Share
from ingest_gateway.gunzip import Gunzip
from ingest_gateway.headers import BodyHeaders

MAX_BODY: Final = 8 * 1024 * 1024
"""The largest body in bytes, as sent and as unpacked (CONTRACT 2)."""

_MAX_SECONDS: Final = 30.0
"""How long the rest of a body may take, so that a slow sender does not hold its share of the buffer for ever."""

_TOO_LARGE: Final = "The body is over 8 MiB; send it in smaller parts"


class ClientGone(Exception):  # noqa: N818 - reads as what it is
    """The client closed the connection before its body was complete; there is nobody to answer."""


async def read_body(receive: Receive, headers: BodyHeaders, share: Share) -> bytes:
    """The whole body, unpacked; its bytes are held by `share`.

    Raises:
        Refusal: 400, 408, 413 or 503.
        ClientGone: where the client left.
    """
    if headers.length is not None and headers.length > MAX_BODY:
        raise refusal.too_large(_TOO_LARGE)
    message = await _next(receive)
    if not message.get("more_body") and not headers.gzipped:
        body: bytes = message.get("body", b"")
        share.take(len(body))
        return body
    try:
        async with asyncio.timeout(_MAX_SECONDS):
            return await _gather(receive, message, headers, share)
    except TimeoutError:
        raise refusal.Refusal(
            408, refusal.TIMEOUT, f"The body was not complete after {_MAX_SECONDS:g} s; nothing was written"
        ) from None


async def _gather(receive: Receive, message: Message, headers: BodyHeaders, share: Share) -> bytes:
    gunzip = Gunzip(MAX_BODY) if headers.gzipped else None
    received, pieces = 0, []
    while True:
        data = message.get("body", b"")
        received += len(data)
        if received > MAX_BODY:
            raise refusal.too_large(_TOO_LARGE)
        piece = gunzip.feed(data) if gunzip else data
        share.take(len(piece))
        pieces.append(piece)
        if not message.get("more_body"):
            break
        message = await _next(receive)
    if gunzip:
        gunzip.finish()
    return b"".join(pieces)


async def _next(receive: Receive) -> Message:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientGone
    return message
