"""The materializer on real brokers: quick, and none the worse for restarts, rebalances and an absent PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from deploy.brokers.base import Broker
from deploy.brokers.embedded import DEFECTS, EmbeddedBroker
from deploy.postgres import EmbeddedPostgres
from query_api.materializer.consumer import GROUP, Materializer
from query_api.migrate import empty_view, migrate
from query_api.rebuild import rebuild
from runtime.kafka import make_consumer, make_producer
from runtime.settings import Settings
from schemas.codec import encode
from schemas.correction import Correction
from schemas.incident import AttachedEvent, IncidentEvents
from schemas.placement import home_partition
from schemas.topics import ANALYSES, CORRECTIONS, EVENTS, INCIDENT_EVENTS, INCIDENTS
from tests.integration.query_api.running import materializing
from tests.support.brokers import both_brokers
from tests.support.waiting import eventually
from tests.unit.query_api.view_records import START, Rows, analysis, event, incident

pytestmark = both_brokers


@pytest.fixture
async def producer(kafka_settings: Settings) -> AsyncIterator[AIOKafkaProducer]:
    """A producer for the module's Kafka."""
    producer = make_producer(kafka_settings, "test")
    await producer.start()
    yield producer
    await producer.stop()


async def _send(producer: AIOKafkaProducer, service: str, numbers: range) -> None:
    home = home_partition(service, 3)
    acks = [
        await producer.send(EVENTS, encode(event(0, id=f"e{number}", service=service)), partition=home)
        for number in numbers
    ]
    acks += [
        await producer.send(
            INCIDENTS, encode(incident(service, number + 1, service=service, partition=home)), service.encode(), home
        )
        for number in numbers
    ]
    await asyncio.gather(*acks)


async def _count(rows: Rows, service: str) -> int:
    return len(await rows(f"SELECT FROM events WHERE service = '{service}'"))


async def test_events_and_incidents_arrive_once(settings: Settings, producer: AIOKafkaProducer, rows: Rows) -> None:
    """Everything sent is in the view, once, and Kafka's own offsets say that it was read."""
    async with materializing(settings) as materializer:
        await _send(producer, "once", range(500))
        await eventually(lambda: _has(rows, "once", 500), what="500 events")
        assert (await materializer.kafka_check(), await materializer.database_check()) == (None, None)
        await eventually(lambda: _lag_is_shown(settings, rows), what="the offsets in Kafka")

    assert await rows("SELECT version FROM incidents WHERE key = 'once'") == [{"version": 500}]


async def _has(rows: Rows, service: str, count: int) -> bool:
    return await _count(rows, service) == count


async def _lag_is_shown(settings: Settings, rows: Rows) -> bool:
    consumer: AIOKafkaConsumer = make_consumer(settings, group_id=GROUP)
    await consumer.start()
    try:
        shown = {
            (row["topic"], row["partition"]): await consumer.committed(TopicPartition(row["topic"], row["partition"]))
            for row in await rows("SELECT * FROM consumer_offsets WHERE next_offset > 0")
        }
    finally:
        await consumer.stop()
    stored = await rows("SELECT * FROM consumer_offsets WHERE next_offset > 0")
    return shown == {(row["topic"], row["partition"]): row["next_offset"] for row in stored}


async def test_many_lives_are_as_one(settings: Settings, producer: AIOKafkaProducer, rows: Rows) -> None:
    """Stopped and started again and again in the middle of the records, it neither loses nor doubles any."""
    for life in range(3):
        async with materializing(settings):
            await _send(producer, "lives", range(life * 100, life * 100 + 100))
            await eventually(partial(_at_least, rows, "lives", life * 50 + 1), what="some events")
    async with materializing(settings):
        await eventually(lambda: _has(rows, "lives", 300), what="300 events")

    assert await rows("SELECT version FROM incidents WHERE key = 'lives'") == [{"version": 300}]


async def _at_least(rows: Rows, service: str, count: int) -> bool:
    return await _count(rows, service) >= count


async def test_offsets_of_kafka_do_not_matter(settings: Settings, producer: AIOKafkaProducer, rows: Rows) -> None:
    """A new, empty view is filled from the start, although the group has read everything before."""
    await _send(producer, "fresh", range(10))
    async with materializing(settings):
        await eventually(lambda: _has(rows, "fresh", 10), what="the first filling")
    await rows("TRUNCATE events, incidents, consumer_offsets")

    async with materializing(settings):
        await eventually(lambda: _has(rows, "fresh", 10), what="the second filling")


async def test_two_share_the_work(broker: Broker, settings: Settings, producer: AIOKafkaProducer, rows: Rows) -> None:
    """A second one joins and leaves in the middle of the records: everything arrives, once."""
    if isinstance(broker, EmbeddedBroker):
        pytest.skip(f"the embedded broker cannot: {DEFECTS['leaving in a rebalance']}")
    services = [f"shared-{number}" for number in range(6)]
    async with materializing(settings):
        await asyncio.gather(*(_send(producer, service, range(100)) for service in services))
        async with materializing(settings) as second:
            await eventually(lambda: _is_assigned(second), what="partitions for the second")
            await asyncio.gather(*(_send(producer, service, range(100, 200)) for service in services))
            await eventually(lambda: _all_have(rows, 6 * 200), what="the records of both")
        await asyncio.gather(*(_send(producer, service, range(200, 300)) for service in services))
        await eventually(lambda: _all_have(rows, 6 * 300), what="the records after the second left")

    found = await rows("SELECT key, version FROM incidents WHERE key LIKE 'shared%' ORDER BY key")
    assert [tuple(row.values()) for row in found] == [(service, 300) for service in services]


async def _all_have(rows: Rows, count: int) -> bool:
    return len(await rows("SELECT FROM events WHERE service LIKE 'shared-%'")) == count


async def _is_assigned(materializer: Materializer) -> bool:
    return await materializer.kafka_check() is None


@pytest.fixture
def own_postgres(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL that the test may kill."""
    server = EmbeddedPostgres(tmp_path / "postgres")
    server.start()
    try:
        yield server
    finally:
        server.stop()


async def test_killed_postgres_loses_nothing(
    kafka_settings: Settings, own_postgres: EmbeddedPostgres, producer: AIOKafkaProducer
) -> None:
    """PostgreSQL is killed in the middle of the records and comes back: /readyz said so, and everything is there."""
    await migrate(own_postgres.url)
    settings = kafka_settings.model_copy(update={"database_url": own_postgres.url})
    async with materializing(settings) as materializer:
        await _send(producer, "killed", range(200))
        await eventually(lambda: _fetched(own_postgres.url, 1), what="the first events")
        await asyncio.to_thread(own_postgres.kill)
        await _send(producer, "killed", range(200, 400))
        await eventually(lambda: _says_away(materializer), what="the word that PostgreSQL is away")
        await asyncio.to_thread(own_postgres.start)
        await eventually(lambda: _fetched(own_postgres.url, 400), what="all events")
        assert await materializer.database_check() is None


async def _says_away(materializer: Materializer) -> bool:
    return await materializer.database_check() is not None


async def _fetched(url: str, count: int) -> bool:
    connection: Any = await asyncpg.connect(url)
    try:
        found: int = await connection.fetchval("SELECT count(*) FROM events WHERE service = 'killed'")
        return found >= count
    finally:
        await connection.close()


async def test_log_that_was_made_anew_is_not_taken_for_the_old(
    broker: Broker, settings: Settings, producer: AIOKafkaProducer, rows: Rows
) -> None:
    """Where a partition ends before what was read of it, /readyz says so instead of skipping its records."""
    if isinstance(broker, EmbeddedBroker):
        pytest.skip("the embedded broker does not say that an offset is out of range")
    await _send(producer, "anew", range(1))
    async with materializing(settings):
        await eventually(lambda: _has(rows, "anew", 1), what="the event")
    await rows("UPDATE consumer_offsets SET next_offset = 1000000")

    async with materializing(settings) as materializer:

        async def told() -> bool:
            return "made anew" in (await materializer.kafka_check() or "")

        await eventually(told, what="the word that the topic was made anew")


async def test_refused_value_does_not_stop_the_rest(settings: Settings, producer: AIOKafkaProducer, rows: Rows) -> None:
    """A record whose value PostgreSQL cannot hold is left out; those around it arrive."""
    home = home_partition("refused", 3)
    for key, threshold in (("r1", 5), ("r2", 2**40), ("r3", 5)):
        record = incident(key, service="refused", partition=home, threshold=threshold)
        await producer.send_and_wait(INCIDENTS, encode(record), key.encode(), home)

    async with materializing(settings):

        async def arrived() -> bool:
            return len(await rows("SELECT FROM incidents WHERE service = 'refused'")) == 2

        await eventually(arrived, what="the other two")


async def test_rebuilt_view_is_the_same_with_the_same_ids(
    settings: Settings, producer: AIOKafkaProducer, rows: Rows
) -> None:
    """Filled by the running materializer or else by the rebuild; a lost database gets ids in the topic's order."""
    services = [f"rebuilt-{number}" for number in range(5)]
    tables = (
        "incidents", "events", "incident_counts", "incident_days", "analyses", "incident_events", "services",
        "service_minutes", "corrections", "incident_terms",
    )  # fmt: skip
    progress: list[tuple[int, int]] = []

    def watch(_: str, done: int, total: int) -> None:
        progress.append((done, total))

    async def contents() -> list[Any]:
        # What was counted and is gone again may stand there as 0.
        kept = "to_jsonb(t)->>'incidents' IS DISTINCT FROM '0'"
        return [await rows(f"SELECT * FROM {table} t WHERE {kept} ORDER BY t::text") for table in tables]

    async with materializing(settings) as materializer:
        for service in services:
            await _send(producer, service, range(3))
        await _send_what_belongs_to(producer, "rebuilt-0")
        await eventually(lambda: _rebuilt_are_there(rows), what="the first filling")
        # As an interleaving that no reading of the topics would give.
        await rows("UPDATE incident_ids SET id = id + 1000 WHERE key IN ('rebuilt-1', 'rebuilt-3')")
        await rows("UPDATE incidents i SET id = n.id FROM incident_ids n WHERE n.key = i.key")
        before = await contents()
        assert all(before), dict(zip(tables, map(len, before), strict=True))
        by_the_running = await rebuild(settings, watch)
        assert await contents() == before
        assert await materializer.database_check() is None
    by_itself = await rebuild(settings, watch)
    assert await contents() == before

    assert (by_the_running.by_running_materializer, by_itself.by_running_materializer) == (True, False)
    assert by_itself.numbered == 0
    assert progress[-1][0] == progress[-1][1] > 0

    await empty_view(settings.database_url)
    lost = await rebuild(settings, watch)
    expected = await rows("SELECT key FROM incidents ORDER BY created_at, key")
    assert await rows("SELECT key FROM incidents ORDER BY id") == expected
    assert lost.numbered >= len(expected) > 0  # a record that PostgreSQL refuses has its number all the same


async def _send_what_belongs_to(producer: AIOKafkaProducer, service: str) -> None:
    home = home_partition(service, 3)
    links = IncidentEvents(service, service, home, [AttachedEvent(0, 0, START)])
    correction = Correction(change_id="c1", incident_key=service, actor="ada", at=START, severity="P1")
    for topic, record in ((INCIDENT_EVENTS, links), (ANALYSES, analysis(service)), (CORRECTIONS, correction)):
        await producer.send_and_wait(topic, encode(record), service.encode(), home)


async def _rebuilt_are_there(rows: Rows) -> bool:
    corrected = await rows("SELECT FROM incidents WHERE key = 'rebuilt-0' AND severity = 'P1' AND summary LIKE 'The%'")
    if not corrected or not await rows("SELECT FROM incident_events"):
        return False
    events = await rows("SELECT FROM events WHERE service LIKE 'rebuilt-%'")
    incidents = await rows("SELECT FROM incidents WHERE service LIKE 'rebuilt-%' AND version = 3")
    return len(events) == 15 and len(incidents) == 5
