"""The text of incidents' events, straight from `ops.events`, for many incidents at once."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from analyzer_worker.log_reader import LogReader
from analyzer_worker.verdict import MAX_TEXT, Sample
from schemas.codec import Place, UnreadableRecord, decode_events
from schemas.event import Event
from schemas.incident import EventPosition, Incident
from schemas.topics import EVENTS

FETCH_SECONDS: Final = 10.0
_MICROS_PER_MS: Final = 1_000


async def fetch_samples(reader: LogReader, incidents: Sequence[Incident]) -> dict[str, list[Sample]]:
    """The samples of each incident, by its key, in the order of its record; what is no longer kept is left out."""
    wanted: dict[int, list[EventPosition]] = defaultdict(list)
    for incident in incidents:
        wanted[incident.partition] += incident.samples
    events = await _read(reader, wanted)
    return {i.key: _found(i.partition, i.samples, events) for i in incidents}


async def events_at(
    reader: LogReader, positions: Mapping[int, Sequence[EventPosition]], seconds: float = FETCH_SECONDS
) -> dict[int, list[Sample]]:
    """The events at some positions, by partition and in their order; what is no longer kept is left out."""
    events = await _read(reader, positions, seconds)
    return {partition: _found(partition, of, events) for partition, of in positions.items()}


async def _read(
    reader: LogReader, positions: Mapping[int, Sequence[EventPosition]], seconds: float = FETCH_SECONDS
) -> dict[tuple[int, int, int], Sample]:
    wanted = {(partition, place.offset, place.index) for partition, of in positions.items() for place in of}
    offsets = {partition: {place.offset for place in of} for partition, of in positions.items() if of}

    def keep(record: Any) -> dict[tuple[int, int, int], Sample]:
        found = {(record.partition, record.offset, index): event for index, event in _events(record)}
        return {place: _sample(event) for place, event in found.items() if place in wanted}

    records = await reader.records_at(EVENTS, offsets, seconds, keep) if offsets else {}
    return {place: sample for kept in records.values() for place, sample in kept.items()}


def _events(record: Any) -> list[tuple[int, Event]]:
    place = Place(EVENTS, record.partition, record.offset, record.timestamp * _MICROS_PER_MS)
    try:
        return [(index, event) for index, event in decode_events(record.value, place) if isinstance(event, Event)]
    except UnreadableRecord:
        return []


def _sample(event: Event) -> Sample:
    text = event.message[:MAX_TEXT]
    return Sample(event.id, event.level, text, event.timestamp, event.host, event.trace_id, event.attributes)


def _found(
    partition: int, positions: Iterable[EventPosition], events: Mapping[tuple[int, int, int], Sample]
) -> list[Sample]:
    found = (events.get((partition, position.offset, position.index)) for position in positions)
    return [sample for sample in found if sample]
