"""Accepted events into records: all events of one service of a request go into as few records as their size allows."""

from collections.abc import Iterable

from ingest_gateway.event_log import Record
from schemas.codec import pack_events
from schemas.event import Event
from schemas.topics import PACK_BYTES


def records_of(events: Iterable[Event]) -> list[Record]:
    """The records to write, without headers; the events of a service keep their order."""
    by_service: dict[str, list[Event]] = {}
    for event in events:
        by_service.setdefault(event.service, []).append(event)
    return [Record(service, value) for service, own in by_service.items() for value in pack_events(own, PACK_BYTES)]
