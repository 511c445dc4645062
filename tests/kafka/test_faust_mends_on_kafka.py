"""Workers as processes on Apache Kafka: whatever ends them or their broker, every record is counted exactly once.

Plain Faust loses records in restarts under backlog by chance (12 % of restarts in a measurement); what it loses for
certain is shown step by step in tests/unit/stream_processor/test_faust_mends_*.py. A test called `test_plain_...`
fails when a new Faust no longer has the fault: its mend can then go.
"""

import asyncio
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.structs import TopicPartition
from faust.types import TP

from deploy.brokers.apache_kafka import ApacheKafka
from deploy.brokers.embedded import EmbeddedBroker
from runtime.settings import Settings, load_settings
from stream_processor.batching import _seek_to_committed_or_start
from stream_processor.durable_table import read_to_end
from stream_processor.faust_mends import true_ends
from tests.kafka.faust_mends_worker import Job
from tests.support.topics import consumer, end_offset, new_topic, produce_batch, producer, unique
from tests.support.waiting import eventually, wait_until

pytestmark = pytest.mark.apache_kafka

EXIT_CODE = 70
PARTITIONS = 3
REPOSITORY = Path(__file__).parents[2]


@dataclass
class Workers:
    """Counting workers as processes, and the topics they share."""

    job: Job
    log: Path
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, **changes: Any) -> subprocess.Popen[bytes]:
        """One more worker."""
        job = msgspec.structs.replace(self.job, **changes)
        command = [sys.executable, "-m", "tests.kafka.faust_mends_worker", msgspec.json.encode(job).decode()]
        with self.log.open("ab") as log:
            worker = subprocess.Popen(command, cwd=REPOSITORY, stdout=log, stderr=log)
        self.running.append(worker)
        return worker

    def end(self, worker: subprocess.Popen[bytes], how: signal.Signals) -> int:
        """Signal a worker and wait for its end; gives its exit code."""
        worker.send_signal(how)
        self.running.remove(worker)
        return worker.wait(20)


@pytest.fixture
def settings(apache_kafka: ApacheKafka) -> Settings:
    """Settings for the broker of the run."""
    return load_settings(_env_file=None, kafka_bootstrap_servers=apache_kafka.bootstrap_servers)


@pytest.fixture
async def job(settings: Settings, tmp_path: Path) -> Job:
    """A group and topics of its own."""
    return Job(
        bootstrap_servers=settings.kafka_bootstrap_servers,
        state_dir=str(tmp_path / "state"),
        group=unique("counting"),
        source=await new_topic(settings, partitions=PARTITIONS),
        changelog=await new_topic(settings, partitions=PARTITIONS, cleanup_policy="compact"),
        spans=await new_topic(settings, partitions=PARTITIONS),
    )


@pytest.fixture
def workers(job: Job, tmp_path: Path) -> Iterator[Workers]:
    """Workers; none is left after the test."""
    workers = Workers(job, tmp_path / "workers.log")
    yield workers
    for worker in list(workers.running):
        workers.end(worker, signal.SIGKILL)


def ended_well(how: signal.Signals) -> set[int]:
    """The exit codes that are right after this signal; one that comes during start-up ends the process itself."""
    return {-how, 0} if how is signal.SIGTERM else {-how}


async def write_numbers(client: AIOKafkaProducer, topic: str, rng: random.Random, start: int, count: int) -> None:
    """Write the numbers from `start` on in batches of many sizes over all partitions."""
    number = start
    while number < start + count:
        size = min(rng.choice((1, 3, 100, 700)), start + count - number)
        values = [b"%d" % value for value in range(number, number + size)]
        await produce_batch(client, topic, values, rng.randrange(PARTITIONS))
        number += size


async def everything(settings: Settings, topic: str) -> dict[int, list[Any]]:
    """The values of all records of a topic by partition, decoded as JSON."""
    found: dict[int, list[Any]] = {partition: [] for partition in range(PARTITIONS)}
    async with consumer(settings) as client:
        async for tp, records in read_to_end(client, [TopicPartition(topic, partition) for partition in found]):
            found[tp.partition] += [msgspec.json.decode(record.value or b"null") for record in records]
    return found


async def until_committed(settings: Settings, job: Job, seconds: float = 60) -> None:
    """Wait until the group has committed all that lies in the source topic."""
    places = [TopicPartition(job.source, partition) for partition in range(PARTITIONS)]
    async with consumer(settings, group_id=job.group) as client:  # asks as the group, and joins it not
        ends = {tp: end for tp, end in (await client.end_offsets(places)).items() if end}

        async def all_committed() -> bool:
            return {tp: await client.committed(tp) for tp in ends} == ends

        await eventually(all_committed, timeout=seconds, what=f"the commit of {ends}")


async def assert_counted_once(settings: Settings, job: Job) -> None:
    """Every row holds its partition exactly, and the spans that were sent before it leave no record out."""
    source, rows, spans = [await everything(settings, topic) for topic in (job.source, job.changelog, job.spans)]
    for partition, values in source.items():
        assert (rows[partition] or [[-1, 0, 0]])[-1] == [len(values) - 1, len(values), sum(values)]
        covered = {offset for first, last in spans[partition] for offset in range(first, last + 1)}
        assert covered == set(range(len(values)))


@pytest.mark.timeout(150)
async def test_stops_and_kills_under_backlog_lose_and_double_nothing(
    settings: Settings, job: Job, workers: Workers
) -> None:
    """Two workers, ended in turn by SIGTERM and SIGKILL while numbers arrive, count each number once."""
    rng = random.Random(596)
    pair = [workers.start(), workers.start()]
    async with producer(settings) as client:
        await write_numbers(client, job.source, rng, 0, 5_000)
        await until_committed(settings, job)
        for turn, how in enumerate((signal.SIGTERM, signal.SIGKILL, signal.SIGTERM, signal.SIGTERM, signal.SIGKILL)):
            await write_numbers(client, job.source, rng, (turn + 1) * 20_000, 15_000)
            code = await asyncio.to_thread(workers.end, pair[turn % 2], how)
            assert code == (0 if how is signal.SIGTERM else -signal.SIGKILL)
            pair[turn % 2] = workers.start()
            await write_numbers(client, job.source, rng, (turn + 1) * 20_000 + 15_000, 3_000)
            await until_committed(settings, job)
    for worker in pair:
        assert await asyncio.to_thread(workers.end, worker, signal.SIGTERM) in ended_well(signal.SIGTERM)
    await assert_counted_once(settings, job)


@pytest.mark.timeout(60)
async def test_plain_faust_skips_the_event_whose_agent_raised(settings: Settings, job: Job, workers: Workers) -> None:
    """It is acknowledged and committed past: number 5 is never processed, by any restart."""
    workers.start(mended=False, poison=5)
    async with producer(settings) as client:
        await produce_batch(client, job.source, [b"%d" % number for number in range(10)])
    await until_committed(settings, job)


@pytest.mark.timeout(60)
async def test_an_agent_that_raises_ends_the_worker_and_the_event_comes_again(
    settings: Settings, job: Job, workers: Workers
) -> None:
    """Exit code 70, nothing committed past the event; a worker that can take it counts it."""
    async with producer(settings) as client:
        await produce_batch(client, job.source, [b"%d" % number for number in range(10)])
    failing = workers.start(poison=5)
    assert await asyncio.to_thread(failing.wait, 40) == EXIT_CODE
    workers.running.remove(failing)
    place = TopicPartition(job.source, 0)
    async with consumer(settings, group_id=job.group) as client:
        assert (await client.committed(place) or 0) <= 5
    workers.start()
    await until_committed(settings, job)
    await assert_counted_once(settings, job)


@pytest.mark.timeout(120)
async def test_a_worker_outlives_its_broker(
    settings: Settings, job: Job, workers: Workers, apache_kafka: ApacheKafka
) -> None:
    """The broker is killed in the middle of the work and comes back: the same process goes on where it was."""
    worker = workers.start()
    await asyncio.to_thread(wait_until, lambda: b"recovered" in workers.log.read_bytes())
    async with producer(settings) as client:
        await write_numbers(client, job.source, random.Random(1), 0, 20_000)
    await asyncio.to_thread(apache_kafka.kill)
    await asyncio.to_thread(apache_kafka.start)
    async with producer(settings) as client:
        await write_numbers(client, job.source, random.Random(2), 20_000, 20_000)
    await until_committed(settings, job)
    assert worker.poll() is None
    await assert_counted_once(settings, job)


@pytest.mark.timeout(60)
async def test_a_worker_whose_broker_is_gone_still_stops(
    settings: Settings, job: Job, workers: Workers, apache_kafka: ApacheKafka
) -> None:
    """Within 10 seconds, with exit code 0."""
    worker = workers.start()
    await asyncio.to_thread(wait_until, lambda: b"recovered" in workers.log.read_bytes())
    async with producer(settings) as client:
        await write_numbers(client, job.source, random.Random(1), 0, 5_000)
    await asyncio.to_thread(apache_kafka.kill)
    try:
        asked = time.monotonic()
        assert await asyncio.to_thread(workers.end, worker, signal.SIGTERM) == 0
        assert time.monotonic() - asked < 10
    finally:
        await asyncio.to_thread(apache_kafka.start)


async def test_plain_seek_leaves_a_partition_without_commits_where_it_stands(settings: Settings, job: Job) -> None:
    """What Faust fetched and dropped during its recovery is then behind it for good; the mended seek goes back."""
    place = TopicPartition(job.source, 0)
    async with producer(settings) as client:
        await produce_batch(client, job.source, [b"1", b"2", b"3"])
    async with consumer(settings, group_id=job.group) as client:
        client.assign([place])
        await client.getmany(place, timeout_ms=5_000)
        await client.seek_to_committed()
        assert await client.position(place) == 3
        await _seek_to_committed_or_start(client, [TP(job.source, 0)])
        assert await client.position(place) == 0


async def test_recovery_ends_at_a_marker_that_no_consumer_sees(settings: Settings, job: Job) -> None:
    """A transaction ends in a marker, which takes up the last offset: waiting for a record there would never end."""
    async with producer(settings, transactional_id=unique("transaction"), enable_idempotence=True) as client:
        await client.begin_transaction()
        await produce_batch(client, job.spans, [b"1", b"2"])
        await client.commit_transaction()

    async def is_marked() -> bool:
        return await end_offset(settings, job.spans) == 3

    await eventually(is_marked, what="the marker behind both records")
    async with asyncio.timeout(10):
        assert (await everything(settings, job.spans))[0] == [1, 2]


@pytest.mark.embedded_broker
async def test_an_end_that_is_reported_too_low_cuts_nothing_off(embedded_broker: EmbeddedBroker) -> None:
    """The embedded broker tells the end of a batch of 100 as 1: all 100 are read, and the true end is found."""
    settings = load_settings(
        _env_file=None, kafka_bootstrap_servers=embedded_broker.bootstrap_servers, kafka_idempotence=False
    )
    place = TopicPartition(await new_topic(settings, partitions=PARTITIONS), 0)
    async with producer(settings) as client:
        for first in (0, 100):
            await produce_batch(client, place.topic, [b"%d" % number for number in range(first, first + 100)])
    async with consumer(settings) as reader:
        assert (await true_ends(reader, await reader.end_offsets([place])))[place] == 200
    assert (await everything(settings, place.topic))[0] == list(range(200))
