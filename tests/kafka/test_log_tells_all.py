"""What the log of a pipeline that was killed, and worked on by people, tells again; the tests run in this order."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from aiokafka import TopicPartition
from aiokafka.admin.records_to_delete import RecordsToDelete

from deploy.brokers.apache_kafka import ApacheKafka
from runtime.settings import Settings
from schemas.codec import encode
from schemas.incident import Incident
from schemas.placement import home_partition
from schemas.topics import EVENTS, INCIDENTS
from stream_processor.backtest.live import read_incidents
from stream_processor.backtest.passes import TopicRange, run_pass
from stream_processor.backtest.topic_range import Range
from stream_processor.rules import rules_from_settings
from tests.support.databases import Databases
from tests.support.pipeline import FRONT_DOOR, MATERIALIZER, PROCESSOR, Pipeline, running_pipeline
from tests.support.topics import admin_client, consumer, end_offset, new_topic, producer, read
from tests.support.waiting import wait_until

pytestmark = pytest.mark.apache_kafka

PARTITIONS: Final = 3
SERVICES: Final = [f"told-{number}" for number in range(12)]
RULES: Final = """
rules:
- {name: error-burst, kind: count, window: 5m, threshold: 5}
- {name: quick, kind: count, window: 1m, threshold: 3, shadow: true}
"""


@pytest.fixture(scope="module")
def pipeline(
    kafka_settings: Settings, broker: ApacheKafka, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pipeline]:
    """Detection, view and API on the module's broker."""
    del kafka_settings  # it makes the topics
    state_dir = tmp_path_factory.mktemp("state dir")
    rules = state_dir / "rules.yaml"
    rules.write_text(RULES)
    services = (PROCESSOR, MATERIALIZER, FRONT_DOOR)
    more = {"KAFKA_SESSION_TIMEOUT_MS": "3000", "RULES": str(rules)}
    with running_pipeline(broker, databases.create(), state_dir, *services, **more) as running:
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
    """The processor is killed in between, people end incidents: the same keys, counts and times, twice alike.

    Those of a rule on trial are among them, in no list that does not ask for them.
    """
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
    set_status(pipeline, first, "resolved", "true_positive")
    set_status(pipeline, second, "closed", "noise")
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
    assert {one["rule"] for one in pipeline.incidents()} == {"error-burst"}
    on_trial = pipeline.incidents(shadow="true")
    assert ({one["rule"] for one in on_trial}, len(on_trial) >= len(SERVICES)) == ({"quick"}, True)
    published = [*pipeline.incidents(), *on_trial]
    assert report["certificate"]["incidents"] == len(report["incidents"]) == len(published) > 2 * len(SERVICES)
    live = {one["key"]: (one["event_count"], one["first_event_at"], one["last_event_at"]) for one in published}
    assert live == {
        one["key"]: (one["event_count"], one["first_event_at"], one["last_event_at"]) for one in report["incidents"]
    }
    without = json.loads(pipeline.command("backtest", "--topic", EVENTS, "--json", "--jobs", "1"))
    assert len(without["incidents"]) == len(SERVICES)


def test_verdicts_and_what_was_missed_are_labels(pipeline: Pipeline) -> None:
    """One true, one noise, one missed by all rules, the others unknown; what was recorded can be taken back."""
    missed = ["incidents", "missed", "--json"]
    record = json.loads(pipeline.command(*missed, "--service", "told-12", "--at", "2026-01-01T00:00:00Z"))
    assert [one["id"] for one in json.loads(pipeline.command(*missed))] == [record["id"]]
    asked = ["backtest", "--topic", EVENTS, "--labels", "verdicts", "--jobs", "1", "--json"]
    scores = json.loads(pipeline.command(*asked))["scores"]
    found = {name: scores[name] for name in ("labels", "found", "true_incidents", "unjudged", "precision", "recall")}
    assert found == {
        "labels": 2,
        "found": 1,
        "true_incidents": 1,
        "unjudged": len(SERVICES) - 2,
        "precision": 0.5,
        "recall": 0.5,
    }
    pipeline.command("incidents", "missed", "--forget", record["id"])
    assert json.loads(pipeline.command(*missed)) == []
    assert json.loads(pipeline.command(*asked))["scores"]["recall"] == 1.0


def test_a_rule_on_trial_is_compared_with_the_one_in_force(pipeline: Pipeline) -> None:
    """Over the live range; nothing is written unless it is asked for."""
    told = json.loads(pipeline.command("rules", "promote", "quick", "--jobs", "1", "--json"))
    assert len(told["incidents"]) >= len(told["against"]["incidents"]) == len(SERVICES)
    assert told["comparison"]["lost"] == []
    assert Path(pipeline.environment["RULES"]).read_text() == RULES


def set_status(pipeline: Pipeline, incident: dict[str, Any], to: str, verdict: str) -> None:
    """A person changes an incident; it is in force when the processor has published it."""
    path = f"/api/v1/incidents/{incident['id']}"
    pipeline.http.patch(
        f"{path}/status", json={"status": to, "verdict": verdict}, headers={"X-Actor": "ann"}
    ).raise_for_status()
    wait_until(lambda: not pipeline.http.get(path).json()["status_pending"], timeout=60, what=f"{to} decided")


async def test_an_incident_is_verified_until_its_records_are_gone(pipeline: Pipeline, kafka_settings: Settings) -> None:
    """All match; those of a partition whose beginning was deleted have expired, the others still match."""
    answers = [verify(pipeline, one) for one in (*pipeline.incidents()[:8], *pipeline.incidents(shadow="true")[:2])]
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


async def test_a_replay_that_was_killed_goes_on_where_it_was(pipeline: Pipeline, kafka_settings: Settings) -> None:
    """What it had noted is not written again; in the end every record is there, in order."""
    target = "a-copy-in-two-parts"
    asked = ["replay", "--topic", EVENTS, "--from", "1:0,2:0", "--to-topic", target, "--json"]
    notes = Path(pipeline.environment["STATE_DIR"])

    async def written() -> int:
        return sum([await end_offset(kafka_settings, target, number) for number in range(PARTITIONS)])

    def noted() -> list[int]:
        return [json.loads(note.read_bytes())["copied"] for note in notes.glob("replay-*.json")]

    killed = pipeline.background_command(*asked, "--speed", "2")
    wait_until(lambda: bool(noted()), timeout=60, what="a note of how far it has come")
    killed.kill()
    killed.communicate()
    [copied] = noted()
    before = await written()

    told = json.loads(pipeline.command(*asked))

    whole = sum(one["end"] - one["start"] for one in told["ranges"])
    assert 0 < copied < whole == told["copied"]
    assert await written() - before == whole - copied
    for wanted in told["ranges"]:
        number, size = wanted["partition"], wanted["end"] - wanted["start"]
        originals = await read(kafka_settings, EVENTS, size, start=wanted["start"], partition=number)
        copies = await read(kafka_settings, target, await end_offset(kafka_settings, target, number), partition=number)
        assert list(dict.fromkeys(map(facts, copies))) == list(dict.fromkeys(map(facts, originals)))
    assert noted() == []


async def test_an_incident_that_was_told_otherwise_does_not_match(pipeline: Pipeline, kafka_settings: Settings) -> None:
    """A record of another count and first time: both are named; the true one matches again."""
    shown = next(one for one in pipeline.incidents() if home_partition(one["service"], PARTITIONS) == 1)
    async with consumer(kafka_settings) as reader:
        [true] = [one for one in await read_incidents(reader, [1]) if one.key == shown["key"]]
    count = msgspec.structs.replace(true, version=true.version + 1, event_count=true.event_count + 1)
    await publish(kafka_settings, count)

    answer = verify(pipeline, shown)

    told = f"event_count: published {true.event_count + 1}, derived {true.event_count}"
    assert (answer["result"], told in answer["differences"]) == ("mismatch", True), answer
    await publish(kafka_settings, msgspec.structs.replace(true, version=true.version + 2))
    assert verify(pipeline, shown)["result"] == "match"


async def publish(settings: Settings, incident: Incident) -> None:
    async with producer(settings) as client:
        await client.send_and_wait(INCIDENTS, encode(incident), incident.key.encode(), incident.partition)


async def test_partitions_without_records_are_no_trouble(kafka_settings: Settings) -> None:
    """A reader that has nothing to read is stopped as soon as it has started."""
    topic = await new_topic(kafka_settings, partitions=4)
    source = TopicRange(kafka_settings, topic, 4, [Range(number, 0, 0, 0) for number in range(4)])

    found = await asyncio.to_thread(run_pass, source, [rules_from_settings(kafka_settings)], 1, lambda _: None)

    assert (found.events, found.findings[0].incidents) == (0, [])
