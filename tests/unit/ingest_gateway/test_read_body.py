"""Reading a body piece by piece: its bounds hold while it comes in, not after."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from ingest_gateway import body as body_module
from ingest_gateway.body import MAX_BODY, ClientGone, read_body
from ingest_gateway.budget import Budget, Share
from ingest_gateway.headers import BodyHeaders
from ingest_gateway.refusal import Refusal

_MIB = 1024 * 1024


class _Client:
    """Sends pieces of a body and counts how many were asked for."""

    def __init__(self, pieces: Iterator[bytes], *, then_leave: bool = False) -> None:
        self._pieces, self._then_leave = pieces, then_leave
        self.asked = 0

    async def receive(self) -> dict[str, Any]:
        self.asked += 1
        piece = next(self._pieces, None)
        if piece is not None:
            return {"type": "http.request", "body": piece, "more_body": True}
        if self._then_leave:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": b"", "more_body": False}


@pytest.fixture
async def share() -> AsyncIterator[Share]:
    """A share of a buffer of 16 MiB."""
    with Share(Budget(2 * MAX_BODY)) as share:
        yield share


def _headers(*, gzipped: bool = False, length: int | None = None) -> BodyHeaders:
    return BodyHeaders("application/json", gzipped, length, b"")


def _endless(piece: bytes) -> Iterator[bytes]:
    while True:
        yield piece


async def test_pieces_are_put_together(share: Share) -> None:
    """Empty ones among them."""
    client = _Client(iter([b"ab", b"", b"c"]))
    assert await read_body(client.receive, _headers(), share) == b"abc"


async def test_gzip_may_be_cut_anywhere(share: Share) -> None:
    """One byte at a time, two members."""
    packed = gzip.compress(b"hello ") + gzip.compress(b"world")
    client = _Client(bytes([byte]) for byte in packed)
    assert await read_body(client.receive, _headers(gzipped=True), share) == b"hello world"


async def test_a_body_without_end_is_not_read_to_its_end(share: Share) -> None:
    """One piece over the bound is the last that is asked for."""
    client = _Client(_endless(bytes(_MIB)))
    with pytest.raises(Refusal) as refused:
        await read_body(client.receive, _headers(), share)
    assert refused.value.status == 413
    assert client.asked == 9


async def test_a_length_over_the_bound_is_refused_before_anything_is_read(share: Share) -> None:
    """A client that waits for `100 Continue` never sends it."""
    client = _Client(_endless(b"x"))
    with pytest.raises(Refusal) as refused:
        await read_body(client.receive, _headers(length=MAX_BODY + 1), share)
    assert refused.value.status == 413
    assert client.asked == 0


async def test_a_client_that_leaves_publishes_nothing(share: Share) -> None:
    """Its body ended before the length that it had told, so it is no body."""
    client = _Client(iter([b'{"service"']), then_leave=True)
    with pytest.raises(ClientGone):
        await read_body(client.receive, _headers(length=100), share)


async def test_a_body_that_trickles_in_too_slowly_is_408(share: Share, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would hold its share of the buffer for ever."""
    monkeypatch.setattr(body_module, "_MAX_SECONDS", 0.01)

    client = _Client(iter([b"x"]))

    async def receive() -> dict[str, Any]:
        if client.asked:
            await asyncio.Event().wait()
        return await client.receive()

    with pytest.raises(Refusal) as refused:
        await read_body(receive, _headers(), share)
    assert refused.value.status == 408


async def test_bytes_count_against_the_buffer_as_they_come() -> None:
    """A full buffer refuses in the middle of a body."""
    budget = Budget(3 * _MIB)
    client = _Client(_endless(bytes(_MIB)))
    with pytest.raises(Refusal) as refused, Share(budget) as share:
        await read_body(client.receive, _headers(), share)
    assert refused.value.status == 503
    assert client.asked == 4
    assert budget.held == 0
