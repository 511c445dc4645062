"""The disturbances: each does harm to one part of a pipeline, holds it for a while, and makes it good again."""

import random
import threading
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NamedTuple

from confluent_kafka import Message

from deploy.postgres import EmbeddedPostgres
from schemas.topics import DETECTION_CHANGELOG
from tests.chaos.topic_access import records, write_again
from tests.support.kafka_cluster import KafkaCluster
from tests.support.pipeline import ANALYZER, FRONT_DOOR, MATERIALIZER, PROCESSOR, Pipeline

SESSION_SECONDS: Final = 4.0


class Site(NamedTuple):
    """What is disturbed. `thorough`: with the long holds of the long form."""

    pipeline: Pipeline
    cluster: KafkaCluster
    postgres: EmbeddedPostgres
    thorough: bool
    over: threading.Event
    """Never set while a round runs: waiting for it is how long a disturbance holds."""

    def hold(self, seconds: float) -> None:
        """Let the harm last."""
        self.over.wait(seconds)


Disturb = Callable[[Site, random.Random], None]


class Disturbance(NamedTuple):
    """A kind of harm; those with the same target do not overlap."""

    name: str
    target: str
    do: Disturb


def _workers(site: Site) -> list[str]:
    return [service for service in site.pipeline.running() if service.startswith(PROCESSOR)]


def _kill_worker(site: Site, chance: random.Random) -> None:
    worker = chance.choice(_workers(site))
    site.pipeline.kill(worker)
    site.hold(chance.uniform(0, 1))
    site.pipeline.start(worker)
    # Into its recovery, or after it.
    site.hold(chance.uniform(0, 2 * SESSION_SECONDS))


def _rescale(site: Site, chance: random.Random) -> None:
    """1 -> 3 -> 2 workers; who goes, goes politely or not."""
    present = _workers(site)
    for name in (f"{PROCESSOR}#{number}" for number in range(2, 6)):
        if name not in present and len(_workers(site)) < 3:
            site.pipeline.start(name)
    site.hold(chance.uniform(4, 3 * SESSION_SECONDS))
    leaving = chance.choice(_workers(site))
    if chance.random() < 0.5:
        site.pipeline.kill(leaving)
    else:
        with suppress(AssertionError):  # on a busy machine it may take longer, and is then killed
            site.pipeline.end(leaving)


def _freeze_worker(site: Site, chance: random.Random) -> None:
    """Longer than the session timeout: it is replaced, and wakes up with all that it had under way."""
    worker = chance.choice(_workers(site))
    site.pipeline.freeze(worker)
    site.hold(30 if site.thorough and chance.random() < 0.3 else chance.uniform(1.2, 2) * SESSION_SECONDS)
    site.pipeline.thaw(worker)


def _write_late(site: Site, chance: random.Random) -> None:
    """What a worker that was replaced in the middle of a write sends when it wakes up; then a recovery reads it."""
    older: list[Message] = []
    newest: dict[bytes, Message] = {}
    for row in records(site.pipeline, DETECTION_CHANGELOG):
        key = bytes(row.key() or b"")
        if key.startswith((b"s", b"e")) and row.value() is not None:
            if key in newest:
                older.append(newest[key])
            newest[key] = row
    write_again(site.pipeline, chance.sample(older, min(len(older), 100)))
    _kill_worker(site, chance)


def _restart(service: str) -> Disturb:
    def kill_and_start(site: Site, chance: random.Random) -> None:
        site.pipeline.kill(service)
        site.hold(chance.uniform(0, 2))
        site.pipeline.start(service)

    return kill_and_start


def _stop_postgres(site: Site, chance: random.Random) -> None:
    (site.postgres.kill if chance.random() < 0.3 else site.postgres.stop)()
    site.hold(chance.uniform(5, 20) if site.thorough else chance.uniform(1, 5))
    site.postgres.start()


def _kill_all_brokers(site: Site, chance: random.Random) -> None:
    site.cluster.kill()
    site.hold(chance.uniform(0, 2))
    site.cluster.start()


def _take_broker_away(site: Site, chance: random.Random) -> None:
    node = chance.choice(site.cluster.nodes)
    (node.kill if chance.random() < 0.5 else node.stop)()
    site.hold(chance.uniform(2, 8))
    node.start()


_KINDS: Final = (
    Disturbance("processor killed", "processor", _kill_worker),
    Disturbance("workers 1 -> 3 -> 2", "processor", _rescale),
    Disturbance("worker frozen", "processor", _freeze_worker),
    Disturbance("worker killed", "processor", _kill_worker),
    Disturbance("late writes of a replaced worker", "processor", _write_late),
    Disturbance("materializer killed", "materializer", _restart(MATERIALIZER)),
    Disturbance("analyzer killed", "analyzer", _restart(ANALYZER)),
    Disturbance("gateway killed", "gateway", _restart(FRONT_DOOR)),
    Disturbance("PostgreSQL away", "postgres", _stop_postgres),
    Disturbance("all brokers killed", "brokers", _kill_all_brokers),
    Disturbance("one broker of three away", "brokers", _take_broker_away),
)

AT_STATUS_CHANGES: Final = tuple(kind for kind in _KINDS if kind.target == "processor")
"""What may go wrong while people change statuses; the way of their wish into Kafka is not in question."""


def plan(chance: random.Random, most: int = len(_KINDS)) -> list[Disturbance]:
    """The disturbances of one half of a round, in order."""
    order = list(_KINDS)
    chance.shuffle(order)
    return order[:most]


class Storm:
    """Carries disturbances out beside the feeding, and starts again what gives up by itself, as a supervisor does."""

    def __init__(self, site: Site, chance: random.Random) -> None:
        self.site = site
        self.done: list[str] = []
        self.revived: list[tuple[str, int]] = []
        self._chance = chance
        self._targets: dict[str, threading.Lock] = defaultdict(threading.Lock)
        self._threads: list[threading.Thread] = []
        self._failures: list[BaseException] = []
        self._ended = threading.Event()
        self._watch = threading.Thread(target=self._revive, name="supervisor")
        self._watch.start()

    def begin(self, disturbance: Disturbance) -> None:
        """Begin a disturbance; one of the same target that is under way ends first."""
        chance = random.Random(self._chance.random())
        thread = threading.Thread(target=self._carry_out, args=(disturbance, chance), name=disturbance.name)
        self._threads.append(thread)
        thread.start()

    def pass_by(self) -> None:
        """Wait until every disturbance is made good."""
        while self._threads:
            self._threads.pop().join()
        if self._failures:
            raise self._failures[0]

    def end(self) -> None:
        """Leave one worker, as it was before."""
        try:
            self.pass_by()
        finally:
            self._ended.set()
            self._watch.join()
        for worker in _workers(self.site):
            if worker != PROCESSOR:
                self.site.pipeline.kill(worker)
        if PROCESSOR not in self.site.pipeline.running():
            self.site.pipeline.start(PROCESSOR)

    def _carry_out(self, disturbance: Disturbance, chance: random.Random) -> None:
        try:
            with self._targets[disturbance.target]:
                disturbance.do(self.site, chance)
                self.done.append(disturbance.name)
        except BaseException as failure:  # noqa: BLE001 - it is raised again where the round waits for it
            self._failures.append(failure)

    def _revive(self) -> None:
        while not self._ended.wait(0.2):
            self.revived += self.site.pipeline.revive()
