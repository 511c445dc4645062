"""`ops-assist dlq`."""

import asyncio
from typing import Annotated, Any, Final

import msgspec
import typer
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from ops_assist.kafka_access import admin, consumer, partitions_of
from ops_assist.options import BootstrapServers
from ops_assist.output import print_json, print_table
from ops_assist.running import kafka_settings
from runtime.settings import Settings, load_settings
from schemas.timestamps import to_rfc3339
from schemas.topics import EVENTS_DLQ, Header

_IDLE_MS: Final = 1_000
_SHOWN_CHARACTERS: Final = 80

app = typer.Typer(add_completion=False, no_args_is_help=True)


class DeadLetter(msgspec.Struct, frozen=True):
    """A record that could not be read: why, and where it came from."""

    time: str
    reason: str
    detail: str
    origin: str
    partition: int
    offset: int
    value: str


@app.callback()
def root() -> None:
    """Look at the records that could not be read."""


@app.command("list")
def list_letters(
    *,
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=10_000, help="How many, from the newest.")] = 20,
    bootstrap_servers: BootstrapServers = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with whole values.")] = False,
) -> None:
    """List the last dead letters, newest first: reason, origin (topic/partition/offset) and value."""
    letters = asyncio.run(_last(kafka_settings(load_settings(), bootstrap_servers), count))
    if as_json:
        print_json(letters)
        return
    rows = ((row.time, row.reason, row.detail, row.origin, row.value[:_SHOWN_CHARACTERS]) for row in letters)
    print_table(("time", "reason", "detail", "origin", "value"), rows)
    typer.echo(f"{len(letters)} dead letters shown")


async def _last(settings: Settings, count: int) -> list[DeadLetter]:
    async with admin(settings) as client:
        partitions = await partitions_of(client, EVENTS_DLQ)
    async with consumer(settings) as reader:
        reader.assign(partitions)
        records = await _tail(reader, partitions, count)
    records.sort(key=lambda record: (record.timestamp, record.partition, record.offset), reverse=True)
    return [_letter(record) for record in records[:count]]


async def _tail(reader: AIOKafkaConsumer, partitions: list[TopicPartition], count: int) -> list[Any]:
    begins, ends = await reader.beginning_offsets(partitions), await reader.end_offsets(partitions)
    for partition in partitions:
        reader.seek(partition, max(begins[partition], ends[partition] - count))
    records: list[Any] = []
    waiting = {partition for partition in partitions if ends[partition] > begins[partition]}
    while waiting and (batches := await reader.getmany(timeout_ms=_IDLE_MS)):
        for partition, batch in batches.items():
            records.extend(batch)
            if batch[-1].offset + 1 >= ends[partition]:
                waiting.discard(partition)
    return records


def _letter(record: "ConsumerRecord[bytes, bytes]") -> DeadLetter:
    headers = {name: value.decode(errors="replace") for name, value in record.headers}
    place = [headers.get(name, "?") for name in (Header.TOPIC, Header.PARTITION, Header.OFFSET)]
    if Header.INDEX in headers:
        place.append(headers[Header.INDEX])
    return DeadLetter(
        time=to_rfc3339(record.timestamp * 1_000),
        reason=headers.get(Header.REASON, ""),
        detail=headers.get(Header.DETAIL, ""),
        origin="/".join(place),
        partition=record.partition,
        offset=record.offset,
        value=(record.value or b"").decode(errors="replace"),
    )
