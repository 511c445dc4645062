"""Kafka for commands: clients whose failures are one line for a person."""

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError, KafkaError, UnknownTopicOrPartitionError

from ops_assist.errors import CommandError
from runtime.kafka import admin_client, make_producer, reader
from runtime.settings import Settings

_CLIENT: Final = "ops-assist"


@asynccontextmanager
async def admin(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    """An admin client. Raises CommandError for every failure of Kafka within the block."""
    with failures(settings):
        async with admin_client(settings, client_id=_CLIENT) as client:
            yield client


async def partitions_of(client: AIOKafkaAdminClient, topic: str) -> list[TopicPartition]:
    """The partitions of a topic. Raises UnknownTopicOrPartitionError, which the clients' blocks turn into a line."""
    if topic not in await client.list_topics():
        raise UnknownTopicOrPartitionError(topic)
    (described,) = await client.describe_topics([topic])
    return [TopicPartition(topic, partition["partition"]) for partition in described["partitions"]]


@asynccontextmanager
async def producer(settings: Settings) -> AsyncIterator[AIOKafkaProducer]:
    """A producer. Raises CommandError for every failure of Kafka within the block."""
    with failures(settings):
        client = make_producer(settings, _CLIENT)
        try:
            await client.start()
            yield client
        finally:
            await client.stop()


@asynccontextmanager
async def consumer(settings: Settings) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer that belongs to no group. Raises CommandError for every failure of Kafka within the block."""
    with failures(settings):
        async with reader(settings) as client:
            yield client


@contextmanager
def failures(settings: Settings | None) -> Iterator[None]:
    """Turn every failure of Kafka within the block into a CommandError."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # the one line below says it
    where = settings.kafka_bootstrap_servers if settings else ""
    try:
        yield
    except KafkaConnectionError as error:
        raise CommandError(
            f"no Kafka at {where}: is the pipeline running (ops-assist up), or KAFKA_BOOTSTRAP_SERVERS wrong?"
        ) from error
    except UnknownTopicOrPartitionError as error:
        raise CommandError(f"the topic is not there at {where}; `ops-assist topics` shows which are") from error
    except KafkaError as error:
        raise CommandError(f"Kafka at {where}: {type(error).__name__}: {error}") from error
