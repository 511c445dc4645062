"""The gateway's canary goes the way of all events, is counted nowhere, and nobody else can take its name."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY

from ingest_gateway.app import create_app
from ingest_gateway.canary import Canary, events_for
from ingest_gateway.event_log import NotWritten
from ingest_gateway.headers import CANARY_HEADER
from ingest_gateway.memory_log import MemoryEventLog
from runtime.settings import load_settings
from schemas.canary import BURST_EVENTS, PREFIX, canaries, is_pulse
from tests.support.waiting import eventually

EVENT = {"service": "shop", "level": "ERROR", "message": "boom"}


class Gateway:
    """A gateway over memory, with its canary in hand."""

    def __init__(self, http: httpx.AsyncClient, log: MemoryEventLog, canary: Canary) -> None:
        self.http, self.log, self.canary = http, log, canary

    def written(self) -> list[tuple[bytes, list[dict[str, Any]]]]:
        """Key and events of every record, by partition."""
        records = [record for number in sorted(self.log.partitions) for record in self.log.partitions[number]]
        return [(key, _events(value)) for key, value in records]


def _events(value: bytes) -> list[dict[str, Any]]:
    found = json.loads(value)
    return found if isinstance(found, list) else [found]


@asynccontextmanager
async def gateway() -> AsyncIterator[Gateway]:
    """Its canary sends when the test says so."""
    log = MemoryEventLog(partitions=3)
    app = create_app(load_settings(_env_file=None, canary_interval=3_600), log)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as http:
        yield Gateway(http, log, app.state.canary)


def sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def test_it_makes_an_incident_first_and_signs_of_life_until_the_next_is_due() -> None:
    """A record for each partition, under the key by which the log's clock knows it; no count of events grows."""
    before = sample("ops_gateway_events_accepted_total", route="/api/v1/events/batch")
    async with gateway() as own:
        faults = [await own.canary.send(own.http) for _ in range(2)]

        written = own.written()

    assert faults == [None, None]
    assert [key.decode() for key, _ in written] == [name for name in canaries(3) for _ in range(2)]
    assert all(is_pulse(key) for key, _ in written)
    assert [len(events) for _, events in written] == [BURST_EVENTS, 1] * 3
    assert {event["level"] for _, events in written for event in events} == {"ERROR", "INFO"}
    assert sample("ops_gateway_events_accepted_total", route="/api/v1/events/batch") == before
    assert sample("ops_gateway_canary_sent_timestamp_seconds") > 1.7e9


async def test_what_was_not_accepted_stays_due() -> None:
    """The broker is away; when it is back, the incident comes at once."""
    async with gateway() as own:
        own.log.failure = NotWritten("the broker cannot be reached")
        fault = await own.canary.send(own.http)
        own.log.failure = None
        await own.canary.send(own.http)
        written = own.written()

    assert fault is not None
    assert fault.startswith("it answered 503")
    assert [len(events) for _, events in written] == [BURST_EVENTS] * 3


async def test_a_gateway_that_does_not_answer_is_named() -> None:
    """As where its port is taken, or it hangs."""

    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("Connection refused", request=request)

    async with gateway() as own, httpx.AsyncClient(transport=httpx.MockTransport(refuse), base_url="http://x") as http:
        assert await own.canary.send(http) == "no answer (Connection refused)"


@pytest.mark.parametrize("headers", [{}, {CANARY_HEADER.decode(): "guessed"}])
async def test_its_names_are_refused_from_anybody_else(headers: dict[str, str]) -> None:
    """A field error says so, for one event and for those of a batch; the others of the batch are taken."""
    stolen = EVENT | {"service": f" {PREFIX}-7 "}
    async with gateway() as own:
        one = await own.http.post("/api/v1/events", json=stolen, headers=headers)
        some = await own.http.post("/api/v1/events/batch", json=[EVENT, stolen, EVENT], headers=headers)
        written = own.written()

    assert (one.status_code, one.json()["errors"][0]["field"]) == (422, "service")
    assert "kept for the pipeline's own" in one.json()["detail"]
    assert some.status_code == 207
    assert [(item["index"], item["errors"][0]["field"]) for item in some.json()["rejected"]] == [(1, "service")]
    assert [key for key, _ in written] == [b"shop"]


async def test_it_sends_while_the_gateway_runs_and_ends_with_it() -> None:
    """At once, over HTTP to its own port; an address where nobody listens is counted as refused."""
    before = sample("ops_gateway_canary_sends_total", outcome="refused")
    app = create_app(load_settings(_env_file=None, canary_interval=5, http_port=1), MemoryEventLog())

    async def refused() -> bool:
        return sample("ops_gateway_canary_sends_total", outcome="refused") > before

    async with app.router.lifespan_context(app):
        assert app.state.canary.is_on
        await eventually(refused, what="a refusal")


async def test_it_is_off_where_the_interval_is_zero() -> None:
    """Then nobody waits for it either."""
    app = create_app(load_settings(_env_file=None, canary_interval=0), MemoryEventLog())
    async with app.router.lifespan_context(app):
        assert not app.state.canary.is_on


def test_many_partitions_take_several_requests() -> None:
    """None of them is too large for a gateway."""
    requests = list(events_for(1_200, burst=True))

    assert [len(events) for events in requests] == [2_500, 2_500, 1_000]
    assert len({event["service"] for events in requests for event in events}) == 1_200
