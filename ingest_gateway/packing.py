"""Accepted events into records: all events of one service of a request go into as few records as their size allows."""

from collections.abc import Iterable
from typing import Final

from ingest_gateway.event_log import Record
from schemas.codec import pack_events
from schemas.event import Event
from schemas.topics import MAX_RECORD_BYTES

PACK_BYTES: Final = 512 * 1024
"""How large a record of several events may get: large enough to be cheap, small enough to be fetched with others."""

_SLACK: Final = 16 * 1024
"""Room for the record's key, the batch around it and the reason headers of a dead letter."""

MAX_EVENT_BYTES: Final = MAX_RECORD_BYTES - _SLACK
"""The largest event, as JSON, that a record can hold."""


def records_of(events: Iterable[Event]) -> list[Record]:
    """The records to write; the events of a service keep their order."""
    by_service: dict[str, list[Event]] = {}
    for event in events:
        by_service.setdefault(event.service, []).append(event)
    return [Record(service, value) for service, own in by_service.items() for value in pack_events(own, PACK_BYTES)]
