"""The text of incidents' sample events, straight from `ops.events`, for many incidents at once."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from analyzer_worker.log_reader import LogReader
from analyzer_worker.verdict import MAX_TEXT, Sample
from schemas.codec import Place, UnreadableRecord, decode_events
from schemas.event import Event
from schemas.incident import Incident
from schemas.topics import EVENTS

FETCH_SECONDS: Final = 10.0
_MICROS_PER_MS: Final = 1_000


async def fetch_samples(reader: LogReader, incidents: Sequence[Incident]) -> dict[str, list[Sample]]:
    """The samples of each incident, by its key, in the order of its record; what is no longer kept is left out."""
    wanted: dict[int, set[int]] = defaultdict(set)
    for incident in incidents:
        wanted[incident.partition].update(position.offset for position in incident.samples)
    wanted = {partition: offsets for partition, offsets in wanted.items() if offsets}
    records = await reader.records_at(EVENTS, wanted, FETCH_SECONDS) if wanted else {}
    events = {place: _events(record) for place, record in records.items()}
    return {incident.key: _samples(incident, events) for incident in incidents}


def _events(record: Any) -> dict[int, Sample]:
    place = Place(EVENTS, record.partition, record.offset, record.timestamp * _MICROS_PER_MS)
    try:
        return {
            index: _sample(event) for index, event in decode_events(record.value, place) if isinstance(event, Event)
        }
    except UnreadableRecord:
        return {}


def _sample(event: Event) -> Sample:
    return Sample(event.id, event.level, event.message[:MAX_TEXT], event.timestamp, event.host)


def _samples(incident: Incident, events: dict[tuple[int, int], dict[int, Sample]]) -> list[Sample]:
    found = (events.get((incident.partition, position.offset), {}).get(position.index) for position in incident.samples)
    return [sample for sample in found if sample]
