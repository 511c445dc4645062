"""How far consumer groups are behind: their committed offsets against the ends of the partitions."""

from collections.abc import Iterable, Mapping

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient


class Lag(msgspec.Struct, frozen=True):
    """How far one group is behind in one partition; offsets and lag count records."""

    group: str
    topic: str
    partition: int
    current: int
    end: int
    lag: int


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
