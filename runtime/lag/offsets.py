"""What a cluster says of consumer groups: committed offsets, the ends of partitions, states."""

from collections.abc import Iterable, Mapping

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError


class Lag(msgspec.Struct, frozen=True):
    """How far one group is behind in one partition; offsets and lag count records.

    `seconds`: the age of the record that comes next, 0 where there is none; None: nobody could tell.
    """

    group: str
    topic: str
    partition: int
    current: int
    end: int
    lag: int
    seconds: float | None = None


class GroupState(msgspec.Struct, frozen=True):
    """A consumer group's state in Kafka's words (Stable, Empty, PreparingRebalance ...), and its number of members."""

    group: str
    state: str
    members: int


async def committed_offsets(client: AIOKafkaAdminClient, group: str = "") -> dict[str, dict[TopicPartition, int]]:
    """The offsets that each group (or only `group`) has committed to Kafka."""
    groups = [group] if group else sorted({name for name, *_ in await client.list_consumer_groups()})
    # Each partition by name: the embedded broker does not understand the question for all of a group's.
    partitions = await _partitions(client)
    found = {}
    for name in groups:
        offsets = await client.list_consumer_group_offsets(name, partitions=partitions)
        found[name] = {partition: meta.offset for partition, meta in offsets.items() if meta.offset >= 0}
    return found


async def lags(committed: Mapping[str, Mapping[TopicPartition, int]], reader: AIOKafkaConsumer) -> list[Lag]:
    """How far each group is behind, by group, topic and partition. `reader` belongs to no group."""
    partitions = {partition for offsets in committed.values() for partition in offsets}
    ends = await reader.end_offsets(list(partitions)) if partitions else {}
    return sorted(_rows(committed, ends), key=lambda row: (row.group, row.topic, row.partition))


async def group_states(client: AIOKafkaAdminClient, groups: Iterable[str]) -> list[GroupState]:
    """The state of each group, by name; nothing where the broker does not tell, as the embedded one."""
    found = []
    for name in sorted(groups):  # one by one: asked about several, aiokafka's request breaks the connection
        try:
            (answer,) = await client.describe_consumer_groups([name])
        except KafkaError:
            return []
        found += [GroupState(group, state, len(members)) for _, group, state, _, _, members, *_ in answer.groups]
    return found


async def _partitions(client: AIOKafkaAdminClient) -> list[TopicPartition]:
    """All partitions of the cluster but those of Kafka's own topics."""
    topics = [topic for topic in await client.list_topics() if not topic.startswith("__")]
    return [
        TopicPartition(topic["topic"], partition["partition"])
        for topic in (await client.describe_topics(topics) if topics else [])
        for partition in topic["partitions"]
    ]


def _rows(committed: Mapping[str, Mapping[TopicPartition, int]], ends: Mapping[TopicPartition, int]) -> Iterable[Lag]:
    for group, offsets in committed.items():
        for partition, offset in offsets.items():
            end = ends[partition]
            yield Lag(group, partition.topic, partition.partition, offset, end, max(0, end - offset))
