"""What some records of `ops.events` hold: events that belong here, events of other places, and what cannot be read."""

from collections.abc import Iterable
from typing import Protocol

import msgspec

from schemas.codec import Place, UnreadableRecord, decode_events, encode_events, pack_events
from schemas.event import Event, InvalidEvent
from schemas.placement import home_partition
from schemas.timestamps import MICROSECONDS, to_rfc3339
from schemas.topics import EVENTS, EVENTS_DLQ, EVENTS_LATE, MAX_EVENT_BYTES, PACK_BYTES, Header
from stream_processor.decisions import Arrival
from stream_processor.outgoing import Outgoing


class Record(Protocol):
    """What is used of a Kafka record; `timestamp` is in milliseconds."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


class Sorted:
    """The content of some records, sorted: `here` by service in order of the log, `elsewhere` by service likewise."""

    def __init__(self) -> None:
        self.here: dict[str, list[Arrival]] = {}
        self.elsewhere: dict[str, list[Event]] = {}
        self.dead: list[tuple[str, Outgoing]] = []


def sort_records(records: Iterable[Record], partitions: int) -> Sorted:
    """Read `records` of one partition of `ops.events`, which has `partitions` in all."""
    found = Sorted()
    for record in records:
        place = Place(record.topic, record.partition, record.offset, record.timestamp * 1000)
        try:
            for index, event in decode_events(record.value, place):
                if isinstance(event, InvalidEvent):
                    found.dead.append(("invalid", _dead_letter(record, "invalid", str(event), index)))
                elif len(record.value or b"") > MAX_EVENT_BYTES and len(encode_events([event])) > MAX_EVENT_BYTES:
                    detail = f"the event is larger than {MAX_EVENT_BYTES:,} bytes"
                    found.dead.append(("too_large", _dead_letter(record, "too_large", detail, index)))
                elif home_partition(event.service, partitions) == place.partition:
                    arrival = Arrival(event, place.offset, index, place.received_at)
                    found.here.setdefault(event.service, []).append(arrival)
                else:
                    found.elsewhere.setdefault(event.service, []).append(event)
        except UnreadableRecord as unreadable:
            found.dead.append(("unreadable", _dead_letter(record, "unreadable", str(unreadable))))
    return found


def rekeyed(events: dict[str, list[Event]], partitions: int) -> list[Outgoing]:
    """The records that bring events of other places to their own, in the order they had."""
    return [
        Outgoing(EVENTS, home_partition(service, partitions), service.encode(), value)
        for service, members in events.items()
        for value in pack_events(members, PACK_BYTES)
    ]


def late_letter(arrival: Arrival, partition: int, newest: int) -> Outgoing:
    """The record for `ops.events.late` of an event that came later than the allowed lateness."""
    behind = (newest - arrival.event.timestamp) / MICROSECONDS
    detail = f"{behind:g} s behind the service's newest event time {to_rfc3339(newest)}"
    origin = (EVENTS, partition, arrival.offset, arrival.received_at // 1000)
    headers = _headers("late", detail, origin, arrival.index)
    return Outgoing(EVENTS_LATE, partition, arrival.event.service.encode(), encode_events([arrival.event]), headers)


def _dead_letter(record: Record, reason: str, detail: str, index: int | None = None) -> Outgoing:
    origin = (record.topic, record.partition, record.offset, record.timestamp)
    headers = _headers(reason, detail, origin, index)
    return Outgoing(EVENTS_DLQ, record.partition, record.key, _element(record.value, index), headers)


def _element(value: bytes | None, index: int | None) -> bytes | None:
    """The one event of an array that is to blame, as it was received; else the whole value."""
    if value is None or index is None or not value.lstrip().startswith(b"["):
        return value
    return bytes(msgspec.json.decode(value, type=list[msgspec.Raw])[index])


def _headers(reason: str, detail: str, origin: tuple[str, int, int, int], index: int | None) -> list[tuple[str, bytes]]:
    topic, partition, offset, timestamp = origin
    headers = {
        Header.REASON: reason,
        Header.DETAIL: detail,
        Header.TOPIC: topic,
        Header.PARTITION: str(partition),
        Header.OFFSET: str(offset),
        Header.TIMESTAMP: str(timestamp),
    }
    if index is not None:
        headers[Header.INDEX] = str(index)
    return [(name, text.encode()) for name, text in headers.items()]
