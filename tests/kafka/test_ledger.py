"""Every event that is produced ends in exactly one reason, and the processor counts it under that one."""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from deploy.brokers.apache_kafka import ApacheKafka
from runtime.settings import Settings
from schemas.codec import encode
from schemas.placement import home_partition
from schemas.topics import EVENTS, EVENTS_DLQ, EVENTS_LATE
from tests.support.databases import Databases
from tests.support.pipeline import PROCESSOR, Pipeline, running_pipeline
from tests.support.topics import end_offset, producer
from tests.support.waiting import wait_until

PARTITIONS: Final = 3
SERVICES: Final = 30
LATENESS: Final = 600
APART: Final = 3 * 3600
"""Seconds between bursts: longer than the quiet period, so that each is an incident, or none, of its own."""

Event = dict[str, Any]


class Plan:
    """What one service sends, in its order, and what must become of it."""

    def __init__(self, service: str, dice: random.Random) -> None:
        self.service = service
        self.dice = dice
        self.now = datetime.now(UTC) - timedelta(days=5)
        self.events: list[Event] = []
        self.errors: list[Event] = []
        self.expected: Counter[str] = Counter()

    def make(self) -> None:
        for _ in range(self.dice.randint(2, 6)):
            self.burst(self.dice.randint(1, 12))
            self.sometimes(self.late)
            self.now += timedelta(seconds=APART)

    def burst(self, size: int) -> None:
        """The first four errors only qualify, the fifth opens, the rest add to it."""
        for number in range(size):
            self.now += timedelta(seconds=self.dice.randint(0, 20))
            self.errors.append(self.send(self.dice.choice(["ERROR", "critical", "FATAL", "panic"])))
            self.expected["opened" if number == 4 else "attached" if number > 4 else "qualified"] += 1
            self.sometimes(self.duplicate)
            self.sometimes(self.below_level)

    def duplicate(self) -> None:
        self.events.append(self.dice.choice(self.errors[-3:]))
        self.expected["duplicate"] += 1

    def below_level(self) -> None:
        self.send("info")
        self.expected["below_level"] += 1

    def late(self) -> None:
        self.send(self.dice.choice(["ERROR", "info"]), before=LATENESS + self.dice.randint(1, 300))
        self.expected["late"] += 1

    def sometimes(self, act: Callable[[], None]) -> None:
        if self.dice.random() < 0.3:
            act()

    def send(self, level: str, before: int = 0) -> Event:
        at = (self.now - timedelta(seconds=before)).isoformat()
        identity = f"{self.service}-{len(self.events)}"
        event = {"service": self.service, "level": level, "message": "x", "timestamp": at, "id": identity}
        self.events.append(event)
        return event


@pytest.fixture(scope="module")
def processor(
    broker: ApacheKafka, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pipeline]:
    """The processor alone, on the module's broker."""
    with running_pipeline(broker, databases.create(), tmp_path_factory.mktemp("state dir"), PROCESSOR) as running:
        yield running


@pytest.mark.apache_kafka
async def test_the_ledger_adds_up_to_what_was_produced(processor: Pipeline, kafka_settings: Settings) -> None:
    """Bursts, duplicates, late ones, lower levels, junk, at home and misplaced: each reason as counted by hand."""
    dice = random.Random(22)
    expected: Counter[str] = Counter()
    async with producer(kafka_settings) as client:
        for number in range(SERVICES):
            plan = Plan(f"ledger-{number}", dice)
            plan.make()
            home = home_partition(plan.service, PARTITIONS)
            partition = dice.randrange(PARTITIONS)
            rest = plan.events
            while rest:
                size = dice.randint(1, 5)
                junk: list[Any] = [dice.choice([{}, 7, None, {"level": "x"}]) for _ in range(dice.choice([0, 0, 2]))]
                await client.send(EVENTS, encode(rest[:size] + junk), partition=partition)
                rest = rest[size:]
                expected["dead_lettered"] += len(junk)
            await client.send(EVENTS, dice.choice([b"junk", b"", b"\xff", b"[1"]), partition=partition)
            await client.send(EVENTS, b"[]", partition=partition)  # an array of no events: no reason, no letter
            expected += plan.expected + Counter(dead_lettered=1, rekeyed=len(plan.events) * (partition != home))

    produced = expected.total() - expected["rekeyed"]
    wait_until(lambda: decided(processor) >= produced, what=f"{produced} events decided on")
    assert ledger(processor) == expected
    assert await records(kafka_settings, EVENTS_DLQ) == expected["dead_lettered"]
    assert await records(kafka_settings, EVENTS_LATE) == expected["late"]


def ledger(processor: Pipeline) -> Counter[str]:
    """The counts of /metrics by reason."""
    text = httpx.get(f"http://127.0.0.1:{processor.ports[PROCESSOR]}/metrics").text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    samples = families["ops_processor_events"].samples
    return Counter({s.labels["reason"]: int(s.value) for s in samples if s.name.endswith("_total") and s.value})


def decided(processor: Pipeline) -> int:
    """Events that have their reason."""
    counts = ledger(processor)
    return counts.total() - counts["rekeyed"]


async def records(settings: Settings, topic: str) -> int:
    """How many records were ever written to a topic."""
    return sum([await end_offset(settings, topic, partition) for partition in range(PARTITIONS)])
