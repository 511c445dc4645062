"""Records to rows, without I/O: what of a batch of records goes into which table."""

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec

from query_api.corrections import correction_values
from query_api.similarity.terms import terms_of
from query_api.text import clean, clean_deep, may_hold_nul
from schemas.analysis import Analysis
from schemas.canary import is_canary
from schemas.codec import (
    Place,
    UnreadableRecord,
    decode_analysis,
    decode_correction,
    decode_events,
    decode_incident_events,
    encode_events,
)
from schemas.codec import decode_incident as decode_incident_record
from schemas.correction import Correction
from schemas.event import Event, InvalidEvent
from schemas.incident import Incident
from schemas.placement import home_partition
from schemas.timestamps import to_datetime, to_rfc3339
from schemas.topics import MAX_EVENT_BYTES

_LAST_MILLIS: Final = 253_402_300_799_000
"""The end of the year 9999."""

_CANARYS: Final = True

_encode: Final = msgspec.json.Encoder().encode


class Record(NamedTuple):
    """What of a Kafka record matters here; `timestamp` is in milliseconds since the epoch."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


class EventColumns(NamedTuple):
    """One row of `events`, in the order of the statement's parameters."""

    partition: int
    record_offset: int
    idx: int
    received_at: datetime
    id: str
    service: str
    level: str
    message: str
    event_time: datetime
    attributes: str | None
    trace_id: str | None
    span_id: str | None
    host: str | None
    environment: str | None


class LinkColumns(NamedTuple):
    """One row of `incident_events`, in the order of the statement's parameters."""

    partition: int
    record_offset: int
    idx: int
    incident_key: str
    event_time: datetime


class OpeningColumns(NamedTuple):
    """One row of `incident_visibility`, in the order of the statement's parameters."""

    incident_key: str
    canary: bool
    partition: int
    opened_at: datetime


def event_rows(record: Record, partitions: int) -> list[EventColumns]:
    """The events of a record of `ops.events` that lie where their service lives; the others are written again there.

    The canary's are in nobody's lists.

    Raises:
        UnreadableRecord: where the record as a whole cannot be read; the processor dead-letters it.
    """
    place = Place(record.topic, record.partition, record.offset, record.timestamp * 1_000)
    tidy = clean_deep if may_hold_nul(record.value or b"") else _as_it_is
    return [
        _event_row(record, index, event, tidy)
        for index, event in decode_events(record.value, place)
        if not isinstance(event, InvalidEvent)
        and not is_canary(event.service)
        and home_partition(event.service, partitions) == record.partition
        and not _is_too_large(event, record)
    ]


def link_rows(record: Record) -> list[LinkColumns]:
    """The rows of a record of `ops.incident-events`.

    Raises:
        UnreadableRecord: where it cannot be read.
    """
    links = _decode(decode_incident_events, record)
    return [
        LinkColumns(links.partition, event.offset, event.index, clean(links.key), to_datetime(event.timestamp))
        for event in links.events
    ]


def incident_row(record: Record) -> dict[str, Any]:
    """The row of a record of `ops.incidents`, JSON-ready.

    Raises:
        UnreadableRecord: where it cannot be read.
    """
    incident: Incident = _decode(decode_incident_record, record)
    row = {
        "key": incident.key,
        "version": incident.version,
        "service": incident.service,
        "rule": incident.rule,
        "record_status": incident.status,
        "event_count": incident.event_count,
        "first_event_at": to_rfc3339(incident.first_event_at),
        "last_event_at": to_rfc3339(incident.last_event_at),
        "created_at": to_rfc3339(incident.created_at),
        "updated_at": to_rfc3339(incident.updated_at),
        "threshold": incident.threshold,
        "window_micros": incident.window,
        "lateness_micros": incident.lateness,
        "reason": incident.reason,
        "partition": incident.partition,
        "samples": incident.samples,
        "timeline": incident.timeline,
        "minutes": incident.minutes,
        "severity_floor": incident.severity_floor,
        "previous_key": incident.previous_key,
        "merged_into": incident.merged_into,
        "shadow": incident.shadow,
    }
    return _without_nul(row, record)


def canary_opening(record: Record) -> OpeningColumns:
    """The row of a record of `ops.canary`; several of one incident have one row.

    Raises:
        UnreadableRecord: where it cannot be read.
    """
    incident: Incident = _decode(decode_incident_record, record)
    return OpeningColumns(clean(incident.key), _CANARYS, incident.partition, to_datetime(incident.created_at))


def openings(rows: Iterable[dict[str, Any]], keys: Container[str]) -> list[OpeningColumns]:
    """The rows of the incidents with these keys, of what is somebody's incident."""
    return [
        OpeningColumns(row["key"], not _CANARYS, row["partition"], datetime.fromisoformat(row["created_at"]))
        for row in rows
        if row["key"] in keys and not row["shadow"] and not row["merged_into"]
    ]


def analysis_row(record: Record) -> dict[str, Any]:
    """The row of a record of `ops.analyses`, JSON-ready.

    Raises:
        UnreadableRecord: where it cannot be read.
    """
    analysis: Analysis = _decode(decode_analysis, record)
    return _without_nul({name: getattr(analysis, name) for name in analysis.__struct_fields__}, record)


def first_arrivals(rows: Iterable[EventColumns]) -> list[EventColumns]:
    """Of the events with one id of one service only the first."""
    first: dict[tuple[str, str], EventColumns] = {}
    for row in rows:
        first.setdefault((row.id, row.service), row)
    return list(first.values())


def correction_row(record: Record) -> dict[str, Any]:
    """The row of a record of `ops.analysis-corrections`, JSON-ready.

    Raises:
        UnreadableRecord: where it cannot be read.
    """
    correction: Correction = _decode(decode_correction, record)
    return _without_nul(dict(correction_values(correction)), record)


def term_rows(analyses: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of `incident_terms` of some rows of `analyses`; an analysis that quotes nothing has none."""
    found = ((row["incident_key"], terms_of(_quotes(row))) for row in analyses)
    return [{"key": key, "words": terms.words, "embedding": terms.embedding} for key, terms in found if terms]


def _quotes(analysis: dict[str, Any]) -> list[str]:
    quotes: list[dict[str, str]] = msgspec.to_builtins(analysis["evidence"])
    return [quote["quote"] for quote in quotes]


def newest(rows: Iterable[dict[str, Any]], key: str, version: str) -> list[dict[str, Any]]:
    """Of the rows with one `key` only that with the greatest `version`, in order of first appearance."""
    best: dict[str, dict[str, Any]] = {}
    for row in rows:
        known = best.get(row[key])
        if known is None or row[version] > known[version]:
            best[row[key]] = row
    return list(best.values())


def columns(rows: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
    """Rows turned into the arrays that `unnest` takes; there must be at least one row."""
    return [list(column) for column in zip(*rows, strict=True)]


def as_json(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as the document that `jsonb_to_recordset` takes."""
    return _encode(rows).decode()


def _is_too_large(event: Event, record: Record) -> bool:
    """The processor dead-letters such an event: no record of the pipeline's own could carry it."""
    return len(record.value or b"") > MAX_EVENT_BYTES and len(encode_events([event])) > MAX_EVENT_BYTES


def _received_at(record: Record) -> datetime:
    """When the broker took it into the log; a clock that is far off is brought back to where times can be written."""
    return to_datetime(max(0, min(record.timestamp, _LAST_MILLIS)) * 1_000)


def _as_it_is(value: Any) -> Any:
    return value


def _event_row(record: Record, index: int, event: Event, tidy: Callable[[Any], Any]) -> EventColumns:
    return EventColumns(
        record.partition,
        record.offset,
        index,
        _received_at(record),
        clean(event.id),
        clean(event.service),
        event.level,
        clean(event.message),
        to_datetime(event.timestamp),
        _encode(tidy(event.attributes)).decode() if event.attributes else None,
        _optional(event.trace_id),
        _optional(event.span_id),
        _optional(event.host),
        _optional(event.environment),
    )


def _optional(text: str | None) -> str | None:
    return None if text is None else clean(text)


def _decode(decode: Any, record: Record) -> Any:
    if not record.value:
        raise UnreadableRecord("the record has no value")
    try:
        return decode(record.value)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise UnreadableRecord(str(error)) from error


def _without_nul(row: dict[str, Any], record: Record) -> dict[str, Any]:
    if record.value is None or not may_hold_nul(record.value):
        return row
    cleaned: dict[str, Any] = clean_deep(msgspec.to_builtins(row))
    return cleaned
