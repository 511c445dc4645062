"""A gateway that is away is no silence, on a real broker: nobody is missed until the canary is heard again."""

import asyncio
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from deploy.brokers.base import Broker
from runtime.settings import Settings
from schemas.codec import decode_incident, encode
from schemas.topics import CANARY, EVENTS, INCIDENTS
from tests.support.databases import Databases
from tests.support.pipeline import FRONT_DOOR, PROCESSOR, Pipeline, running_pipeline
from tests.support.topics import end_offset, producer, read
from tests.support.waiting import eventually

pytestmark = pytest.mark.apache_kafka

PARTITIONS: Final = 3
RULES: Final = "rules:\n- {name: silent, kind: absence, match: {services: shop}, window: 20s, threshold: 2}\n"
OUTAGE_MS: Final = 26_000
EVENT: Final = {"service": "shop", "level": "INFO", "message": "sold"}
DIRECT: Final = encode(EVENT | {"service": "direct"})


async def values(settings: Settings, topic: str) -> list[bytes]:
    """The values of all records of a topic."""
    found: list[bytes] = []
    for partition in range(PARTITIONS):
        if end := await end_offset(settings, topic, partition):
            found += [record.value for record in await read(settings, topic, end, partition=partition)]
    return found


async def missed(settings: Settings) -> list[str]:
    """The services whose silence was found."""
    return [decode_incident(value).service for value in await values(settings, INCIDENTS)]


async def send_straight_to_kafka(settings: Settings, for_ms: int) -> None:
    """Events of another service into every partition, until so much time has passed by the broker's clock."""
    async with producer(settings) as client:
        first = last = None
        while first is None or last - first < for_ms:
            for partition in range(PARTITIONS):
                sent: Any = await client.send_and_wait(EVENTS, DIRECT, partition=partition)
            first, last = first or sent.timestamp, sent.timestamp
            await asyncio.sleep(0.25)  # the pace of the sender


async def test_a_service_is_missed_only_after_the_canary_is_heard_again(
    broker: Broker, kafka_settings: Settings, databases: Databases, tmp_path: Path
) -> None:
    """Without a gateway for longer than the rule's window nobody is missed though others write; afterwards it is."""
    file = tmp_path / "rules.yaml"
    file.write_text(RULES)
    with running_pipeline(
        broker, databases.create(), tmp_path, FRONT_DOOR, PROCESSOR, RULES=str(file), CANARY_INTERVAL="5"
    ) as pipeline:
        await eventually(lambda: _sees(kafka_settings), what="an incident of each canary")
        assert pipeline.http.post("/api/v1/events/batch", json=[EVENT] * 3).status_code == 201
        pipeline.end(FRONT_DOOR)

        await send_straight_to_kafka(kafka_settings, OUTAGE_MS)
        await eventually(lambda: _has_read_all(pipeline, kafka_settings), what="all records decided on")
        assert await missed(kafka_settings) == []

        pipeline.start(FRONT_DOOR)
        found = await eventually(lambda: missed(kafka_settings), timeout=60, what="the silence")

    assert found == ["shop"]


async def _sees(settings: Settings) -> bool:
    incidents = [decode_incident(value) for value in await values(settings, CANARY)]
    return len({incident.service for incident in incidents}) == PARTITIONS


async def _has_read_all(pipeline: Pipeline, settings: Settings) -> bool:
    """Whether every event is decided on or moved: the log holds as many as the ledger."""
    async with httpx.AsyncClient() as http:
        metrics = await http.get(f"http://127.0.0.1:{pipeline.ports[PROCESSOR]}/metrics")
    counts = [line for line in metrics.text.splitlines() if line.startswith("ops_processor_events_total{")]
    told = sum(float(line.rpartition(" ")[2]) for line in counts)
    events = sum(value.count(b'"service"') for value in await values(settings, EVENTS))
    return told == events
