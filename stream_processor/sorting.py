"""What some records of `ops.events` hold: events that belong here, events of other places, and what cannot be read."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple, Protocol

import msgspec

from runtime.trace_context import trace_headers
from schemas.canary import is_canary
from schemas.codec import Place, UnreadableRecord, decode_events, encode_events, pack_events
from schemas.event import Event, InvalidEvent
from schemas.placement import home_partition
from schemas.timestamps import MICROSECONDS, to_rfc3339
from schemas.topics import EVENTS, EVENTS_DLQ, EVENTS_LATE, MAX_EVENT_BYTES, MAX_RECORD_BYTES, PACK_BYTES, Header
from stream_processor.decisions import Arrival
from stream_processor.outgoing import Outgoing

_SINGLY: Final = 100
"""Broken events of one array that get a dead letter each; those after them share one, so that junk stays cheap."""
_MOST_HEADERS: Final = 64 * 1024
"""Bytes of its own headers that a dead letter keeps."""

Headers = Sequence[tuple[str, bytes]]


class Record(Protocol):
    """What is used of a Kafka record; `timestamp` is in milliseconds."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers


class DeadLetter(NamedTuple):
    """What could not be taken in, and how many events that is; a record that cannot be read counts as one."""

    fault: str
    letter: Outgoing
    events: int = 1


class Sorted:
    """The content of some records, sorted: `here` by service in order of the log, `elsewhere` by service likewise.

    `canary`: as `here`, of the services that the pipeline sends events of to itself.
    """

    def __init__(self) -> None:
        self.here: dict[str, list[Arrival]] = {}
        self.canary: dict[str, list[Arrival]] = {}
        self.elsewhere: dict[str, list[Event]] = {}
        self.traces: dict[str, list[tuple[int, Headers]]] = {}
        """Where traces begin in `elsewhere`, by service: from which event on, and the headers that tell it."""
        self.dead: list[DeadLetter] = []
        self.outcomes: list[bool] = []
        """Of each record in turn whether nothing of it can be used; records that hold no event are left out."""


class _Broken(NamedTuple):
    """An event of a record that cannot be taken in."""

    place: int
    fault: str
    detail: str


def sort_records(records: Iterable[Record], partitions: int) -> Sorted:
    """Read `records` of one partition of `ops.events`, which has `partitions` in all."""
    found = Sorted()
    for record in records:
        try:
            good, broken = _sort_record(record, partitions, found)
        except UnreadableRecord as unreadable:
            found.outcomes.append(True)
            found.dead.append(
                DeadLetter("unreadable", _dead_letter(record, record.value, "unreadable", str(unreadable)))
            )
        else:
            found.dead += _dead_letters(record, broken)
            if good or broken:
                found.outcomes.append(not good)
    return found


def _sort_record(record: Record, partitions: int, found: Sorted) -> tuple[int, list[_Broken]]:
    """Sort the events of one record; gives how many are good, and those that are not."""
    place = Place(record.topic, record.partition, record.offset, record.timestamp * 1000)
    is_large = len(record.value or b"") > MAX_EVENT_BYTES
    trace = trace_headers(record.headers) if record.headers else ()
    broken: list[_Broken] = []
    index = -1
    for index, event in decode_events(record.value, place):
        if isinstance(event, InvalidEvent):
            broken.append(_Broken(index, "invalid", str(event) if len(broken) <= _SINGLY else ""))
        elif is_large and len(encode_events([event])) > MAX_EVENT_BYTES:
            broken.append(_Broken(index, "too_large", f"the event is larger than {MAX_EVENT_BYTES:,} bytes"))
        elif home_partition(event.service, partitions) == place.partition:
            arrival = Arrival(event, place.offset, index, place.received_at)
            own = found.canary if is_canary(event.service) else found.here
            own.setdefault(event.service, []).append(arrival)
        else:
            _move(event, trace, found)
    return index + 1 - len(broken), broken


def _move(event: Event, trace: Headers, found: Sorted) -> None:
    """Put an event with those of other places, and note where a trace begins."""
    events = found.elsewhere.setdefault(event.service, [])
    if trace or event.service in found.traces:
        marks = found.traces.setdefault(event.service, [])
        if not marks or marks[-1][1] != trace:
            marks.append((len(events), trace))
    events.append(event)


def rekeyed(found: Sorted, partitions: int) -> list[Outgoing]:
    """The records that bring events of other places to their own, in the order they had; none holds two traces."""
    return [
        Outgoing(EVENTS, home_partition(service, partitions), service.encode(), value, trace)
        for service, members in found.elsewhere.items()
        for trace, run in _runs(members, found.traces.get(service, ()))
        for value in pack_events(run, PACK_BYTES)
    ]


def _runs(events: list[Event], marks: Sequence[tuple[int, Headers]]) -> Iterator[tuple[Headers, list[Event]]]:
    """Events in runs of one trace each."""
    starts = [(0, ()), *marks]
    ends = [start for start, _ in marks] + [len(events)]
    return ((trace, events[start:end]) for (start, trace), end in zip(starts, ends, strict=True) if end > start)


def late_letter(arrival: Arrival, partition: int, newest: int) -> Outgoing:
    """The record for `ops.events.late` of an event that came later than the allowed lateness."""
    behind = (newest - arrival.event.timestamp) / MICROSECONDS
    detail = f"{behind:g} s behind the service's newest event time {to_rfc3339(newest)}"
    origin = (EVENTS, partition, arrival.offset, arrival.received_at // 1000)
    headers = _headers("late", detail, origin, arrival.index)
    return Outgoing(EVENTS_LATE, partition, arrival.event.service.encode(), encode_events([arrival.event]), headers)


def _dead_letters(record: Record, broken: Sequence[_Broken]) -> Iterable[DeadLetter]:
    """Each broken event as it was received, with what is wrong with it."""
    if not broken:
        return
    elements = _elements(record.value or b"")
    for place, fault, detail in broken[:_SINGLY]:
        yield DeadLetter(fault, _dead_letter(record, elements[place], fault, detail, place))
    if rest := broken[_SINGLY:]:
        place, fault, detail = rest[0]
        value = b"[" + b",".join(elements[other.place] for other in rest) + b"]"
        detail = f"{len(rest):,} more broken events of one array; the first: {detail}"
        yield DeadLetter(fault, _dead_letter(record, value, fault, detail, place), len(rest))


def _elements(value: bytes) -> Sequence[bytes]:
    """The events of a value that can be read, as they were received."""
    if not value.lstrip().startswith(b"["):
        return [value]
    return [bytes(raw) for raw in msgspec.json.decode(value, type=list[msgspec.Raw])]


def _dead_letter(record: Record, value: bytes | None, reason: str, detail: str, index: int | None = None) -> Outgoing:
    key = record.key
    if len(value or b"") > MAX_RECORD_BYTES or len(key or b"") > MAX_EVENT_BYTES:
        # Compressed, more can come in than may go out; the headers tell where the whole of it lies.
        value, key = value and value[:MAX_RECORD_BYTES], key and key[:MAX_EVENT_BYTES]
        detail = f"{detail}; key and value are cut here"
    origin = (record.topic, record.partition, record.offset, record.timestamp)
    headers = [*_brought(record), *_headers(reason, detail, origin, index)]
    return Outgoing(EVENTS_DLQ, record.partition, key, value, headers)


def _brought(record: Record) -> list[tuple[str, bytes]]:
    """The record's own headers, with how often it was retried; why it was a dead letter before is told no more."""
    ours = {Header.REASON, Header.DETAIL, Header.TOPIC, Header.PARTITION, Header.OFFSET, Header.INDEX, Header.TIMESTAMP}
    own = [(name, value) for name, value in record.headers if name not in ours]
    # Headers of megabytes would make a letter that no broker takes, and hold up the partition for ever.
    size = sum(len(name.encode()) + len(value or b"") for name, value in own)
    return own if size <= _MOST_HEADERS else list(trace_headers(own))


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
