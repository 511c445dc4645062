"""Batches over HTTP: what is tried again, what is not, and how each answer is counted."""

import json
from collections.abc import Callable

import httpx
import pytest

from ops_assist.errors import CommandError
from ops_assist.sending import http_delivery
from ops_assist.sending.http_delivery import HttpDelivery
from ops_assist.sending.outgoing import Outgoing
from ops_assist.sending.tally import Tally

Handler = Callable[[httpx.Request], httpx.Response]


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses between attempts take no time here."""
    monkeypatch.setattr(http_delivery, "_FIRST_WAIT", 0.001)
    monkeypatch.setattr(http_delivery, "_LONGEST_WAIT", 0.002)


def _batch(size: int) -> list[Outgoing]:
    return [Outgoing(f"f:{n}", "api", None, json.dumps({"id": f"i{n}"}).encode()) for n in range(size)]


async def _deliver(handler: Handler, batch: list[Outgoing], *, patience: float = 60) -> Tally:
    tally = Tally()
    tally.read = len(batch)
    async with httpx.AsyncClient(transport=httpx.MockTransport(handler)) as client:
        await HttpDelivery(client, "http://gateway", tally, patience=patience)(batch)
    return tally


def _ids(request: httpx.Request) -> list[str]:
    return [json.loads(line)["id"] for line in request.content.splitlines()]


async def test_an_unready_gateway_gets_the_same_ids_again() -> None:
    """503 and a broken connection are tried again with the same events, so that each counts once."""
    seen: list[list[str]] = []

    def gateway(request: httpx.Request) -> httpx.Response:
        seen.append(_ids(request))
        if len(seen) == 1:
            raise httpx.ReadError("cut", request=request)
        if len(seen) < 4:
            return httpx.Response((503, 429)[len(seen) % 2], headers={"Retry-After": "1"})
        return httpx.Response(201, json={"accepted": 3, "rejected": []})

    tally = await _deliver(gateway, _batch(3))
    assert seen == [["i0", "i1", "i2"]] * 4
    assert (tally.accepted, tally.rejected, tally.retries) == (3, 0, 3)


async def test_rejected_events_are_told_by_their_line() -> None:
    """A 207 counts both kinds."""
    errors = [{"field": "level", "message": "expected one of ..."}]

    def gateway(_: httpx.Request) -> httpx.Response:
        return httpx.Response(207, json={"accepted": 2, "rejected": [{"index": 1, "errors": errors}]})

    summary = (await _deliver(gateway, _batch(3))).summary()
    assert (summary.accepted, summary.rejected, summary.lost) == (2, 1, 0)
    assert summary.reasons == ["f:1: level: expected one of ..."]


async def test_a_batch_of_which_nothing_is_accepted_names_each_reason() -> None:
    """A 422 is a problem with `rejected`."""
    rejected = [{"index": index, "errors": [{"field": "", "message": "no"}]} for index in range(2)]

    def gateway(_: httpx.Request) -> httpx.Response:
        return httpx.Response(422, json={"detail": "none", "accepted": 0, "rejected": rejected})

    assert (await _deliver(gateway, _batch(2))).summary().reasons == ["f:0: no", "f:1: no"]


async def test_another_error_rejects_the_whole_batch() -> None:
    """It is not tried again: the answer would be the same."""
    calls: list[int] = []

    def gateway(_: httpx.Request) -> httpx.Response:
        calls.append(1)
        return httpx.Response(401, json={"detail": "who are you?"})

    tally = await _deliver(gateway, _batch(2))
    assert (tally.rejected, calls) == (2, [1])
    assert tally.summary().reasons[0] == "f:0: 401 who are you?"


async def test_a_batch_that_is_too_large_is_halved() -> None:
    """Down to single events, in their order."""
    taken: list[str] = []

    def gateway(request: httpx.Request) -> httpx.Response:
        ids = _ids(request)
        if len(ids) > 2:
            return httpx.Response(413, json={"detail": "too large"})
        taken.extend(ids)
        return httpx.Response(201, json={"accepted": len(ids), "rejected": []})

    tally = await _deliver(gateway, _batch(7))
    assert taken == [f"i{n}" for n in range(7)]
    assert (tally.accepted, tally.rejected) == (7, 0)


async def test_patience_ends() -> None:
    """A gateway that never takes the batch is a failure that says why."""

    def gateway(_: httpx.Request) -> httpx.Response:
        return httpx.Response(503, json={"detail": "no broker"})

    with pytest.raises(CommandError, match="did not take events for 0 s: 503 no broker"):
        await _deliver(gateway, _batch(1), patience=0)
