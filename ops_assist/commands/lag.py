"""`ops-assist lag`."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Annotated

import msgspec
import typer
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from ops_assist.kafka_access import admin, consumer
from ops_assist.output import print_json, print_table
from ops_assist.running import kafka_settings
from runtime.settings import Settings, load_settings

app = typer.Typer(add_completion=False)


class Lag(msgspec.Struct, frozen=True):
    """How far one group is behind in one partition; offsets and lag count records."""

    group: str
    topic: str
    partition: int
    committed: int
    end: int
    lag: int


@app.command()
def lag(
    *,
    group: Annotated[str, typer.Option(help="Only this consumer group.")] = "",
    bootstrap_servers: Annotated[str, typer.Option(help="The Kafka cluster; default: that of the settings.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show how many records each consumer group has not yet committed.

    Groups are those that commit to Kafka. The embedded broker tells ends that may lie too low behind a batch.
    """
    rows = asyncio.run(_lags(kafka_settings(load_settings(), bootstrap_servers), group))
    if as_json:
        print_json(rows)
    else:
        columns = ("group", "topic", "#partition", "#committed", "#end", "#lag")
        print_table(columns, (msgspec.structs.astuple(row) for row in rows))
        typer.echo(f"{sum(row.lag for row in rows):,} records behind in all")


async def _lags(settings: Settings, wanted: str) -> list[Lag]:
    async with admin(settings) as client:
        committed = await _committed(client, wanted)
    partitions = {partition for offsets in committed.values() for partition in offsets}
    async with consumer(settings) as reader:
        ends = await reader.end_offsets(list(partitions)) if partitions else {}
    return sorted(_rows(committed, ends), key=lambda row: (row.group, row.topic, row.partition))


async def _committed(client: AIOKafkaAdminClient, wanted: str) -> dict[str, dict[TopicPartition, int]]:
    groups = [wanted] if wanted else sorted({group for group, *_ in await client.list_consumer_groups()})
    # Each partition by name: the embedded broker does not understand the question for all of a group's.
    partitions = await _partitions(client)
    found = {}
    for group in groups:
        offsets = await client.list_consumer_group_offsets(group, partitions=partitions)
        found[group] = {partition: meta.offset for partition, meta in offsets.items() if meta.offset >= 0}
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
        for (topic, partition), offset in offsets.items():
            end = ends[TopicPartition(topic, partition)]
            yield Lag(group, topic, partition, offset, end, max(0, end - offset))
