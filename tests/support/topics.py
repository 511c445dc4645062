"""Topics and records for tests that talk to a broker."""

import itertools
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import for_code

from runtime.kafka import connection_options, make_consumer, make_producer
from runtime.settings import Settings
from tests.support.waiting import eventually

_numbers = itertools.count(1)


def unique(what: str) -> str:
    """A name that no other test of any run uses on the same broker."""
    return f"{what}-{next(_numbers)}-{time.time_ns()}"


@asynccontextmanager
async def admin_client(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    """A started administration client."""
    client = AIOKafkaAdminClient(**connection_options(settings))
    try:
        await client.start()
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def producer(settings: Settings, **options: Any) -> AsyncIterator[AIOKafkaProducer]:
    """A started producer of the pipeline."""
    client = make_producer(settings, "test", **options)
    try:
        await client.start()
        yield client
    finally:
        await client.stop()


@asynccontextmanager
async def consumer(
    settings: Settings, *topics: str, group_id: str | None = None, **options: Any
) -> AsyncIterator[AIOKafkaConsumer]:
    """A started consumer of the pipeline."""
    client = make_consumer(settings, *topics, group_id=group_id, **options)
    try:
        await client.start()
        yield client
    finally:
        await client.stop()


async def new_topic(settings: Settings, *, partitions: int = 1, **config: str) -> str:
    """Make a topic; the words of a setting are joined by `_` here and by `.` in Kafka."""
    name = unique("topic")
    configs = {setting.replace("_", "."): value for setting, value in config.items()}
    async with admin_client(settings) as admin:
        answer = await admin.create_topics([NewTopic(name, partitions, 1, topic_configs=configs)])
        for _, code, *_ in answer.topic_errors:
            if code:
                raise for_code(code)(f"cannot create {name}")

        async def known() -> bool:
            described = await admin.describe_topics([name])
            return len(described[0]["partitions"]) == partitions

        await eventually(known, what=f"topic {name} in the metadata")
    return name


async def produce_batch(client: AIOKafkaProducer, topic: str, values: Sequence[bytes], partition: int = 0) -> int:
    """Write the values as one record batch; gives the offset of the first."""
    batch = client.create_batch()
    for value in values:
        batch.append(key=None, value=value, timestamp=None)
    batch.close()
    metadata = await (await client.send_batch(batch, topic, partition=partition))
    return int(metadata.offset)


async def end_offset(settings: Settings, topic: str, partition: int = 0) -> int:
    """The offset that the next record will get, as the broker says."""
    place = TopicPartition(topic, partition)
    async with consumer(settings) as client:
        return int((await client.end_offsets([place]))[place])


async def read(
    settings: Settings, topic: str, count: int, *, start: int = 0, partition: int = 0
) -> list[ConsumerRecord[bytes, bytes]]:
    """`count` records from offset `start` on."""
    place = TopicPartition(topic, partition)
    records: list[ConsumerRecord[bytes, bytes]] = []
    async with consumer(settings) as client:
        client.assign([place])
        client.seek(place, start)

        async def enough() -> bool:
            fetched = await client.getmany(place, timeout_ms=200)
            records.extend(fetched.get(place, []))
            return len(records) >= count

        await eventually(enough, what=f"{count} records of {topic}[{partition}] from {start}")
    return records


async def read_to(settings: Settings, topic: str, last: int) -> list[ConsumerRecord[bytes, bytes]]:
    """What is left of partition 0 from its beginning up to offset `last`."""
    place = TopicPartition(topic, 0)
    records: list[ConsumerRecord[bytes, bytes]] = []
    async with consumer(settings) as client:
        client.assign([place])
        client.seek(place, 0)

        async def arrived() -> bool:
            records.extend((await client.getmany(place, timeout_ms=200)).get(place, []))
            return bool(records) and records[-1].offset >= last

        await eventually(arrived, what=f"offset {last} of {topic}")
    return records
