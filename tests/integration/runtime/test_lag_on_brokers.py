"""Lag as a broker tells it, held against Kafka's own command line."""

import asyncio
import subprocess
import time
from typing import Final

import pytest
from aiokafka import TopicPartition

from deploy.brokers.base import Broker
from deploy.brokers.embedded import EmbeddedBroker
from deploy.brokers.kafka_jars import fetch_jars, java_command
from runtime.kafka import make_consumer
from runtime.lag.history import Trend
from runtime.lag.offsets import GroupState
from runtime.lag.watch import LagWatch, read_lags
from runtime.settings import Settings
from tests.support.brokers import both_brokers
from tests.support.topics import new_topic, producer, unique

pytestmark = both_brokers

COMMAND_LINE: Final = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"


AGE: Final = 90.0


async def topic_behind(settings: Settings, group: str, counts: dict[int, int], offsets: dict[int, int]) -> str:
    """A topic with so many records in each partition, written 90 seconds ago, read by a group up to some offsets."""
    topic = await new_topic(settings, partitions=len(counts))
    then = round((time.time() - AGE) * 1_000)
    async with producer(settings) as client:
        for partition, count in counts.items():
            for _ in range(count):
                await client.send_and_wait(topic, b"x", partition=partition, timestamp_ms=then)
    consumer = make_consumer(settings, group_id=group)
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, partition) for partition in offsets])
        await consumer.commit({TopicPartition(topic, partition): offset for partition, offset in offsets.items()})
    finally:
        await consumer.stop()
    return topic


def told_by_kafka(broker: Broker, group: str) -> list[tuple[int, int, int, int]]:
    """Partition, current and end offset and lag, as `kafka-consumer-groups --describe` prints them."""
    command = [java_command() or "java", "-cp", f"{fetch_jars()}/*", COMMAND_LINE, "--describe", "--group", group]
    done = subprocess.run(
        [*command, "--bootstrap-server", broker.bootstrap_servers], capture_output=True, text=True, check=True
    )
    rows = [line.split() for line in done.stdout.splitlines()]
    return sorted((int(c[2]), int(c[3]), int(c[4]), int(c[5])) for c in rows if c[:1] == [group])


async def test_lag_is_what_kafka_says_and_as_old_as_the_next_record(kafka_settings: Settings, broker: Broker) -> None:
    """By partition, in records and in seconds."""
    group = unique("lag")
    await topic_behind(kafka_settings, group, {0: 3, 1: 1, 2: 5}, {0: 1, 1: 1, 2: 0})

    rows, states = await read_lags(kafka_settings, group)

    found = [(row.partition, row.current, row.end, row.lag) for row in rows]
    assert found == [(0, 1, 3, 2), (1, 1, 1, 0), (2, 0, 5, 5)]
    assert [row.seconds for row in rows] == [pytest.approx(AGE, abs=45), 0, pytest.approx(AGE, abs=45)]
    if isinstance(broker, EmbeddedBroker):
        return
    assert states == [GroupState(group, "Empty", 0)]
    assert await asyncio.to_thread(told_by_kafka, broker, group) == found


async def test_a_watch_keeps_a_history_and_names_a_broker_that_is_away(kafka_settings: Settings) -> None:
    """Rates need two looks; a watch itself never fails."""
    group = unique("lag")
    topic = await topic_behind(kafka_settings, group, {0: 2}, {0: 0})
    watch = LagWatch(kafka_settings)

    first = await watch.look()
    away = await LagWatch(kafka_settings.model_copy(update={"kafka_bootstrap_servers": "127.0.0.1:1"})).look()

    trends = {row.group: trend for row, trend in zip(first.rows, first.trends, strict=True)}
    assert trends[group] == Trend(None, None, None)
    assert [point.lag for point in watch.curves()[group, topic]] == [2]
    assert away.rows == []
    assert "did not tell the offsets" in (away.unavailable or "")


async def test_a_group_without_offsets_is_not_behind(kafka_settings: Settings) -> None:
    """As every group of a pipeline that has just started: the reader is stopped with nothing read."""
    rows, _ = await read_lags(kafka_settings, unique("nobody"))

    assert rows == []
