"""How old the record is that a group takes next: the lag in seconds."""

import time
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from runtime.lag.offsets import Lag

_LONGEST_SECONDS: Final = 2.0
"""For all of them: what a slow broker does not tell in time is not known."""
_POLL_MS: Final = 200

Place = tuple[TopicPartition, int]


async def with_ages(rows: Sequence[Lag], reader: AIOKafkaConsumer, now: float) -> list[Lag]:
    """The same rows with their lag in seconds.

    Args:
        rows: of any groups.
        reader: belongs to no group and has nothing else to read; best with a small `max_partition_fetch_bytes`.
        now: the wall clock in seconds since the epoch.
    """
    times = await _times({_place(row) for row in rows if row.lag}, reader)
    return [msgspec.structs.replace(row, seconds=_age(row, times.get(_place(row)), now)) for row in rows]


def _place(row: Lag) -> Place:
    return TopicPartition(row.topic, row.partition), row.current


def _age(row: Lag, written_ms: int | None, now: float) -> float | None:
    if not row.lag:
        return 0.0
    return None if written_ms is None else round(max(0.0, now - written_ms / 1_000), 3)


async def _times(places: set[Place], reader: AIOKafkaConsumer) -> dict[Place, int]:
    """When the record at each place was written, in milliseconds; places of one partition are looked at in turn."""
    found: dict[Place, int] = {}
    ends = time.monotonic() + _LONGEST_SECONDS
    while places and time.monotonic() < ends:
        turn = dict(sorted(places, reverse=True))
        places = places - set(turn.items())
        found |= await _look(turn, reader, ends)
    return found


async def _look(turn: dict[TopicPartition, int], reader: AIOKafkaConsumer, ends: float) -> dict[Place, int]:
    reader.assign(list(turn))
    for partition, offset in turn.items():
        reader.seek(partition, offset)
    found: dict[Place, int] = {}
    waiting = set(turn)
    while waiting and time.monotonic() < ends:
        batches = await reader.getmany(*waiting, timeout_ms=_POLL_MS, max_records=len(waiting))
        for partition, records in batches.items():
            found[partition, turn[partition]] = records[0].timestamp
        _leave(reader, batches)
        waiting -= set(batches)
    return found


def _leave(reader: AIOKafkaConsumer, partitions: Iterable[TopicPartition]) -> None:
    """Fetch no more of what is known."""
    seen = list(partitions)
    if seen:
        reader.pause(*seen)
