"""A range of a topic: which offsets of each partition it is, and its records one fetch after the other."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.timestamps import from_rfc3339

_FETCH_MS: Final = 500
_MOST_RECORDS: Final = 5_000


class InvalidBound(ValueError):  # noqa: N818 - reads as what it is
    """A bound of a range that is neither a time nor offsets; the text says what is taken."""


class Bound(msgspec.Struct, frozen=True):
    """One end of a range: a moment (microseconds since the epoch), an offset of every partition, or one of each."""

    moment: int | None = None
    offset: int | None = None
    offsets: dict[int, int] = {}


def parse_bound(text: str) -> Bound:
    """A time as 2026-11-20T09:00:00Z, an offset as 1500, or offsets by partition as 0:1500,1:200.

    Raises:
        InvalidBound: it is none of these.
    """
    try:
        if text.isdecimal():
            return Bound(offset=int(text))
        pairs = [part.split(":") for part in text.split(",")]
        if all(len(pair) == 2 and pair[0].isdecimal() and pair[1].isdecimal() for pair in pairs):  # noqa: PLR2004
            return Bound(offsets={int(partition): int(offset) for partition, offset in pairs})
        return Bound(moment=from_rfc3339(text))
    except ValueError as error:
        raise InvalidBound(
            f"{text!r} is no bound, as 2026-11-20T09:00:00Z (a time), 1500 (an offset) or 0:1500,1:20 (by partition)"
        ) from error


class Range(msgspec.Struct, frozen=True):
    """Records of one partition: from `start` up to, but not with, `end`. `begin`: the first that is still there."""

    partition: int
    start: int
    end: int
    begin: int = 0

    @property
    def size(self) -> int:
        """How many offsets it spans."""
        return max(0, self.end - self.start)


async def find_ranges(
    consumer: AIOKafkaConsumer, topic: str, partitions: Iterable[int], since: Bound | None, until: Bound | None
) -> list[Range]:
    """The range of each partition; no bound: its beginning and its end. Times are those of the records, in the log."""
    places = [TopicPartition(topic, partition) for partition in sorted(partitions)]
    begins, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
    starts = await _offsets(consumer, places, since, begins, ends)
    stops = await _offsets(consumer, places, until, ends, ends)
    return [
        Range(place.partition, max(begins[place], starts[place]), min(ends[place], stops[place]), begins[place])
        for place in places
    ]


async def _offsets(
    consumer: AIOKafkaConsumer,
    places: Sequence[TopicPartition],
    bound: Bound | None,
    default: Mapping[TopicPartition, int],
    ends: Mapping[TopicPartition, int],
) -> dict[TopicPartition, int]:
    if bound is None:
        return dict(default)
    if bound.moment is not None:
        found = await consumer.offsets_for_times(dict.fromkeys(places, -(-bound.moment // 1_000)))
        return {place: at.offset if (at := found.get(place)) is not None else ends[place] for place in places}
    if bound.offset is not None:
        return dict.fromkeys(places, bound.offset)
    return {place: bound.offsets.get(place.partition, default[place]) for place in places}


async def read_range(consumer: AIOKafkaConsumer, topic: str, wanted: Range) -> AsyncIterator[Sequence[Any]]:
    """The records of a range, in fetches; offsets that hold none (of transactions, or compacted) are passed over."""
    if not wanted.size:  # a consumer that is stopped as soon as it is assigned a partition hangs
        return
    place = TopicPartition(topic, wanted.partition)
    consumer.assign([place])
    consumer.seek(place, wanted.start)
    while await consumer.position(place) < wanted.end:
        fetched = await consumer.getmany(place, timeout_ms=_FETCH_MS, max_records=_MOST_RECORDS)
        records = fetched.get(place, [])
        if records and records[-1].offset >= wanted.end:
            yield [record for record in records if record.offset < wanted.end]
            return
        if records:
            yield records
