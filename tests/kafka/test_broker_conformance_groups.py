"""What the pipeline relies on in a broker's consumer groups: joining, leaving, dying, remembering."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from runtime.settings import Settings
from tests.support.conformance import behaviour
from tests.support.group_member import REBALANCE_TIMEOUT_MS
from tests.support.topics import consumer, new_topic, producer, unique
from tests.support.waiting import eventually

SESSION_TIMEOUT_MS: Final = 2_000
ALL_THREE: Final = {0, 1, 2}
MEMBER: Final = {
    "session_timeout_ms": SESSION_TIMEOUT_MS,
    "heartbeat_interval_ms": SESSION_TIMEOUT_MS // 4,
    "rebalance_timeout_ms": REBALANCE_TIMEOUT_MS,
}


def _partitions(*members: AIOKafkaConsumer) -> list[set[int]]:
    return [{place.partition for place in member.assignment()} for member in members]


@asynccontextmanager
async def _member_process(settings: Settings, topic: str, group: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A member in a process of its own that holds all partitions; killed at the end."""
    arguments = [
        "-m",
        "tests.support.group_member",
        settings.kafka_bootstrap_servers,
        topic,
        group,
        str(SESSION_TIMEOUT_MS),
    ]
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        line = b""
        async with asyncio.timeout(30):
            while line != b"0 1 2\n":
                line = await process.stdout.readline()
                assert line, "the member ended"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@behaviour("expiry of a killed member")
async def test_killed_member_is_expired_and_its_successor_gets_its_partitions(broker_settings: Settings) -> None:
    """A process that held all partitions is SIGKILLed; one started after it gets them all and reads on."""
    topic, group = await new_topic(broker_settings, partitions=3), unique("group")
    async with _member_process(broker_settings, topic, group) as member:
        member.kill()
        await member.wait()
    async with (
        consumer(broker_settings, topic, group_id=group, **MEMBER) as successor,
        producer(broker_settings) as out,
    ):

        async def inherited() -> bool:
            await successor.getmany(timeout_ms=50)
            return _partitions(successor) == [ALL_THREE]

        await eventually(inherited, timeout=20, what="the successor's assignment")
        await out.send_and_wait(topic, b"after", partition=2)
        record = await asyncio.wait_for(successor.getone(), 10)
    assert record.value == b"after"


@behaviour("expiry beside a living member")
async def test_killed_member_leaves_its_partitions_to_a_living_one(broker_settings: Settings) -> None:
    """Of two members one is SIGKILLed; the other gets all partitions without being restarted."""
    topic, group = await new_topic(broker_settings, partitions=3), unique("group")
    async with (
        _member_process(broker_settings, topic, group) as doomed,
        consumer(broker_settings, topic, group_id=group, **MEMBER) as survivor,
    ):

        async def shared() -> bool:
            await survivor.getmany(timeout_ms=50)
            (held,) = _partitions(survivor)
            return 0 < len(held) < 3

        async def inherited() -> bool:
            await survivor.getmany(timeout_ms=50)
            return _partitions(survivor) == [ALL_THREE]

        await eventually(shared, what="both members have partitions")
        doomed.kill()
        await doomed.wait()
        await eventually(inherited, what="the survivor has all partitions")


@behaviour("rejoin")
async def test_partitions_are_shared_among_the_members_there_are(broker_settings: Settings) -> None:
    """A second member takes a share; when it leaves, the first has all again; when it comes back, they share again."""
    topic, group = await new_topic(broker_settings, partitions=3), unique("group")
    async with consumer(broker_settings, topic, group_id=group, **MEMBER) as first:
        for _ in range(2):
            async with consumer(broker_settings, topic, group_id=group, **MEMBER) as second:

                async def shared(second: AIOKafkaConsumer = second) -> bool:
                    await asyncio.gather(first.getmany(timeout_ms=50), second.getmany(timeout_ms=50))
                    mine, theirs = _partitions(first, second)
                    return bool(mine and theirs) and not mine & theirs and mine | theirs == ALL_THREE

                await eventually(shared, what="two members share")

            async def alone() -> bool:
                await first.getmany(timeout_ms=50)
                return _partitions(first) == [ALL_THREE]

            await eventually(alone, what="the first has all again")


@behaviour("committed offsets")
async def test_group_goes_on_where_it_committed(broker_settings: Settings) -> None:
    """Offsets and their metadata outlive the members: a later member reads from there, not from the beginning."""
    topic, group = await new_topic(broker_settings), unique("group")
    place = TopicPartition(topic, 0)
    async with producer(broker_settings) as out:
        for number in range(5):
            await out.send_and_wait(topic, b"%d" % number, partition=0)
    async with consumer(broker_settings, topic, group_id=group, **MEMBER) as early:
        async with asyncio.timeout(20):
            assert [(await early.getone()).value for _ in range(3)] == [b"0", b"1", b"2"]
        await early.commit({place: 3})
    async with consumer(broker_settings, topic, group_id=group, **MEMBER) as later:
        assert await later.committed(place) == 3
        record = await asyncio.wait_for(later.getone(), 20)
    assert (record.offset, record.value) == (3, b"3")


@behaviour("committed offsets without membership")
async def test_offsets_are_committed_and_fetched_by_a_consumer_that_assigns_itself(broker_settings: Settings) -> None:
    """A consumer with a group id that assigns its own partitions can commit, and finds nothing where none was."""
    topic, group = await new_topic(broker_settings, partitions=2), unique("group")
    places = [TopicPartition(topic, number) for number in range(2)]
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(consumer(broker_settings, group_id=group))
        client.assign(places)
        await client.commit({places[0]: 7})
        assert [await client.committed(place) for place in places] == [7, None]


@behaviour("leaving in a rebalance")
async def test_group_outlives_a_member_that_leaves_while_it_rebalances(broker_settings: Settings) -> None:
    """Of two members one leaves and, before they have settled, the other: one that comes later gets all partitions."""
    topic, group = await new_topic(broker_settings, partitions=3), unique("group")
    async with (
        consumer(broker_settings, topic, group_id=group, **MEMBER),
        consumer(broker_settings, topic, group_id=group, **MEMBER),
    ):
        pass
    async with asyncio.timeout(10), consumer(broker_settings, topic, group_id=group, **MEMBER) as later:
        assert _partitions(later) == [ALL_THREE]
