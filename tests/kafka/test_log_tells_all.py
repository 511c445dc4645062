"""What the log of a pipeline that was killed, and worked on by people, tells again; the tests run in this order."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from aiokafka import TopicPartition
from aiokafka.admin.records_to_delete import RecordsToDelete

from deploy.brokers.apache_kafka import ApacheKafka
from runtime.settings import Settings
from schemas.codec import encode
from schemas.placement import home_partition
from schemas.topics import EVENTS
from tests.support.databases import Databases
from tests.support.pipeline import FRONT_DOOR, MATERIALIZER, PROCESSOR, Pipeline, running_pipeline
from tests.support.topics import admin_client, end_offset, producer, read
from tests.support.waiting import wait_until

pytestmark = pytest.mark.apache_kafka

PARTITIONS: Final = 3
SERVICES: Final = [f"told-{number}" for number in range(12)]


@pytest.fixture(scope="module")
def pipeline(
    kafka_settings: Settings, broker: ApacheKafka, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pipeline]:
    """Detection, view and API on the module's broker."""
    del kafka_settings  # it makes the topics
    state_dir = tmp_path_factory.mktemp("state dir")
    services = (PROCESSOR, MATERIALIZER, FRONT_DOOR)
    with running_pipeline(broker, databases.create(), state_dir, *services, KAFKA_SESSION_TIMEOUT_MS="3000") as running:
        yield running


class Sender:
    """Sends bursts, out of order, misplaced and twice."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.now = datetime.now(UTC) - timedelta(hours=6)
        self.sent = 0
        self.errors = 0

    async def burst(self, size: int, services: list[str]) -> None:
        async with producer(self.settings) as client:
            for turn, service in enumerate(services):
                events = [self.event(service, number) for number in range(size)]
                home = home_partition(service, PARTITIONS)
                place = home if turn % 4 else (home + 1) % PARTITIONS
                for value in (encode(events[1:]), encode(events[0]), encode(events[:2])):
                    await client.send(EVENTS, value, service.encode(), place, headers=[("traced", b"yes")])
        self.now += timedelta(minutes=1)

    def event(self, service: str, number: int) -> dict[str, Any]:
        self.sent += 1
        at = (self.now + timedelta(seconds=number)).isoformat()
        level = "ERROR" if number % 3 else "INFO"
        self.errors += level == "ERROR"
        return {"service": service, "level": level, "message": "boom", "timestamp": at, "id": f"{self.sent}"}


async def test_a_backtest_of_the_live_range_gives_the_live_incidents(
    pipeline: Pipeline, kafka_settings: Settings
) -> None:
    """The processor is killed in between, people end incidents: the same keys, counts and times, twice alike."""
    sender = Sender(kafka_settings)
    await sender.burst(9, SERVICES)
    wait_until(lambda: len(pipeline.incidents()) >= 4, what="the first incidents")
    await sender.burst(12, SERVICES)
    pipeline.kill(PROCESSOR)
    await sender.burst(12, SERVICES)
    pipeline.start(PROCESSOR)
    pipeline.wait_ready(PROCESSOR)
    wait_until(lambda: len(pipeline.incidents()) == len(SERVICES), timeout=60, what="an incident of each service")
    first, second, *_ = pipeline.incidents()
    set_status(pipeline, first, "resolved")
    set_status(pipeline, second, "closed")
    await sender.burst(12, SERVICES)
    counted = sender.errors
    wait_until(
        lambda: sum(one["event_count"] for one in pipeline.incidents()) == counted, timeout=60, what="all counted"
    )

    told = pipeline.command("backtest", "--topic", EVENTS, "--certificate", "--json", "--jobs", "1")
    again = pipeline.command("backtest", "--topic", EVENTS, "--certificate", "--json", "--jobs", "2")

    assert told == again
    report = json.loads(told)
    assert report["certificate"]["matches"], report["certificate"]
    assert report["certificate"]["incidents"] == len(report["incidents"]) == len(pipeline.incidents()) > len(SERVICES)
    live = {
        one["key"]: (one["event_count"], one["first_event_at"], one["last_event_at"]) for one in pipeline.incidents()
    }
    assert live == {
        one["key"]: (one["event_count"], one["first_event_at"], one["last_event_at"]) for one in report["incidents"]
    }
    without = json.loads(pipeline.command("backtest", "--topic", EVENTS, "--json", "--jobs", "1"))
    assert len(without["incidents"]) == len(SERVICES)


def set_status(pipeline: Pipeline, incident: dict[str, Any], to: str) -> None:
    """A person changes an incident; it is in force when the processor has published it."""
    path = f"/api/v1/incidents/{incident['id']}"
    pipeline.http.patch(f"{path}/status", json={"status": to}, headers={"X-Actor": "ann"}).raise_for_status()
    wait_until(lambda: not pipeline.http.get(path).json()["status_pending"], timeout=60, what=f"{to} decided")


async def test_an_incident_is_verified_until_its_records_are_gone(pipeline: Pipeline, kafka_settings: Settings) -> None:
    """All match; those of a partition whose beginning was deleted have expired, the others still match."""
    answers = [verify(pipeline, one) for one in pipeline.incidents()]
    assert {answer["result"] for answer in answers} == {"match"}, answers
    assert pipeline.http.get("/api/v1/incidents/999/verify").status_code == 404

    async with admin_client(kafka_settings) as admin:
        end = await end_offset(kafka_settings, EVENTS, 0)
        await delete_before(admin, end - 1)
    one_each = {home_partition(one["service"], PARTITIONS): one for one in pipeline.incidents()}

    assert {partition: verify(pipeline, one)["result"] for partition, one in one_each.items()} == {
        0: "expired",
        1: "match",
        2: "match",
    }


def verify(pipeline: Pipeline, incident: dict[str, Any]) -> dict[str, Any]:
    got = pipeline.http.get(f"/api/v1/incidents/{incident['id']}/verify")
    assert got.is_success, got.text
    answer: dict[str, Any] = got.json()
    return answer


async def delete_before(admin: Any, offset: int) -> None:
    """Let the records of partition 0 before `offset` go, as retention does."""
    await admin.delete_records({TopicPartition(EVENTS, 0): RecordsToDelete(before_offset=offset)})


def test_a_range_is_replayed_into_another_topic(pipeline: Pipeline, kafka_settings: Settings) -> None:
    """Keys, headers and times are kept; the live topic is refused."""
    target = "a-copy"
    refused = subprocess.run(
        [sys.executable, "-m", "ops_assist", "replay", "--topic", EVENTS, "--to-topic", EVENTS],
        env=pipeline.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (refused.returncode, "--into-live" in refused.stderr) == (1, True)

    told = json.loads(
        pipeline.command("replay", "--topic", EVENTS, "--from", "1:0,2:0", "--to-topic", target, "--json")
    )

    asyncio.run(compare(kafka_settings, told["ranges"], target))
    assert told["copied"] == sum(one["end"] - one["start"] for one in told["ranges"]) > 0


async def compare(settings: Settings, ranges: list[dict[str, int]], target: str) -> None:
    for wanted in ranges:
        number, size = wanted["partition"], wanted["end"] - wanted["start"]
        copies = await read(settings, target, size, partition=number)
        originals = await read(settings, EVENTS, size, start=wanted["start"], partition=number)
        assert [facts(one) for one in copies] == [facts(one) for one in originals]


def facts(record: Any) -> tuple[Any, ...]:
    return record.key, record.value, tuple(record.headers), record.timestamp
