"""What the pipeline relies on when a broker is stopped or killed and comes back."""

import asyncio

import pytest
from aiokafka import TopicPartition

from deploy.brokers.base import Broker
from runtime.settings import Settings
from tests.support.conformance import behaviour
from tests.support.topics import consumer, end_offset, new_topic, producer, read, unique
from tests.support.waiting import eventually


def _restart(broker: Broker, how: str) -> None:
    broker.stop() if how == "stop" else broker.kill()
    assert not broker.is_running()
    broker.start()


@pytest.mark.parametrize("how", ["stop", "kill"])
@behaviour("records outlive a restart")
async def test_acknowledged_records_outlive_a_restart(broker_settings: Settings, broker: Broker, how: str) -> None:
    """Every acknowledged record is there after a clean stop, and after SIGKILL; offsets go on without a hole."""
    topic = await new_topic(broker_settings)
    async with producer(broker_settings) as client:
        for number in range(50):
            await client.send_and_wait(topic, b"%d" % number, partition=0)
    await asyncio.to_thread(_restart, broker, how)
    assert await end_offset(broker_settings, topic) == 50
    assert [record.value for record in await read(broker_settings, topic, 50)] == [b"%d" % n for n in range(50)]
    async with producer(broker_settings) as client:
        assert (await client.send_and_wait(topic, b"next", partition=0)).offset == 50


@pytest.mark.parametrize("how", ["stop", "kill"])
@behaviour("committed offsets outlive a restart")
async def test_committed_offsets_outlive_a_restart(broker_settings: Settings, broker: Broker, how: str) -> None:
    """A group finds its committed offset after a clean stop, and after SIGKILL."""
    topic, group = await new_topic(broker_settings), unique("group")
    place = TopicPartition(topic, 0)
    async with consumer(broker_settings, group_id=group) as client:
        client.assign([place])
        await client.commit({place: 42})
    await asyncio.to_thread(_restart, broker, how)
    async with consumer(broker_settings, group_id=group) as client:
        client.assign([place])

        # While the coordinator loads its offsets it answers with an error for the whole group, which aiokafka 0.14
        # takes for "nothing committed".
        async def remembered() -> bool:
            return bool(await client.committed(place) == 42)

        await eventually(remembered, timeout=10, what="the committed offset")


@behaviour("clients outlive a restart")
async def test_clients_go_on_after_a_restart(broker_settings: Settings, broker: Broker) -> None:
    """A producer and a group member that were connected before a crash of the broker work on after it."""
    topic, group = await new_topic(broker_settings), unique("group")
    async with (
        producer(broker_settings) as out,
        consumer(
            broker_settings, topic, group_id=group, session_timeout_ms=6_000, rebalance_timeout_ms=3_000
        ) as client,
    ):
        await out.send_and_wait(topic, b"before", partition=0)
        assert (await asyncio.wait_for(client.getone(), 20)).value == b"before"
        await asyncio.to_thread(_restart, broker, "kill")
        await asyncio.wait_for(out.send_and_wait(topic, b"after", partition=0), 20)
        assert (await asyncio.wait_for(client.getone(), 20)).value == b"after"
