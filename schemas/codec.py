"""Bytes to records and back: the only place that knows how a topic's values are written."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec

from schemas.analysis import Analysis, AnalysisRequest
from schemas.correction import Correction
from schemas.event import Event, InvalidEvent, WireEvent, event_from_object, to_event, to_wire
from schemas.identity import derived_event_id
from schemas.incident import Incident, IncidentEvents
from schemas.letter_decision import LetterDecision
from schemas.status_change import StatusChange
from schemas.topics import MAX_RECORD_BYTES
from schemas.verdict import MissedIncident

encode: Final = msgspec.json.Encoder().encode
"""Any record of the schemas, or a list of event dicts, as JSON bytes."""

decode_incident: Final = msgspec.json.Decoder(Incident).decode
decode_incident_events: Final = msgspec.json.Decoder(IncidentEvents).decode
decode_analysis: Final = msgspec.json.Decoder(Analysis).decode
decode_analysis_request: Final = msgspec.json.Decoder(AnalysisRequest).decode
decode_status_change: Final = msgspec.json.Decoder(StatusChange).decode
decode_correction: Final = msgspec.json.Decoder(Correction).decode
decode_missed_incident: Final = msgspec.json.Decoder(MissedIncident).decode
decode_letter_decision: Final = msgspec.json.Decoder(LetterDecision).decode

_decode_wire: Final = msgspec.json.Decoder(WireEvent | list[WireEvent]).decode
_decode_any: Final = msgspec.json.Decoder().decode


class UnreadableRecord(ValueError):  # noqa: N818 - reads as what it is
    """A record whose value is no event and no array of events; the text says why."""


class Place(msgspec.Struct, frozen=True):
    """Where a record lies and when the broker received it (microseconds since the epoch)."""

    topic: str
    partition: int
    offset: int
    received_at: int

    def event_id(self, index: int) -> str:
        """The id of the event at `index` of this record's array, where it brought none."""
        return derived_event_id(self.topic, self.partition, self.offset, index, self.received_at)


def encode_events(events: Sequence[Event]) -> bytes:
    """The record value of some events of one service: one object, or an array where there are several."""
    if len(events) == 1:
        return encode(to_wire(events[0]))
    return encode([to_wire(event) for event in events])


def pack_events(events: Iterable[Event], limit: int) -> Iterator[bytes]:
    """Record values that hold `events` of one service in their order, each value of at most `limit` bytes.

    An event that is larger alone gets a record of its own.
    """
    pack: list[bytes] = []
    size = 1
    for event in events:
        wire = encode(to_wire(event))
        if pack and size + len(wire) + 1 > limit:
            yield _join(pack)
            pack, size = [], 1
        pack.append(wire)
        size += len(wire) + 1
    if pack:
        yield _join(pack)


def _join(pack: list[bytes]) -> bytes:
    return pack[0] if len(pack) == 1 else b"[" + b",".join(pack) + b"]"


def decode_events(value: bytes | None, place: Place) -> Iterator[tuple[int, Event | InvalidEvent]]:
    """The events of one record of `ops.events`, each with its index in the record's array.

    An event that breaks a rule comes as the `InvalidEvent` that says why; the others of its array are not harmed.

    Raises:
        UnreadableRecord: where the value as a whole cannot be read.
    """
    try:
        wires = _decode_wire(value) if value and len(value) <= MAX_RECORD_BYTES else None
    except (msgspec.DecodeError, ValueError, RecursionError):
        wires = None
    if wires is None:
        yield from _decode_field_by_field(value, place)
        return
    for index, wire in enumerate(wires if isinstance(wires, list) else (wires,)):
        try:
            yield (
                index,
                to_event(
                    wire,
                    default_id=place.event_id(index) if wire.id is None else "",
                    received_at=place.received_at,
                ),
            )
        except InvalidEvent as invalid:
            yield index, invalid


def _decode_field_by_field(value: bytes | None, place: Place) -> Iterator[tuple[int, Event | InvalidEvent]]:
    content = _decode_value(value)
    for index, item in enumerate(content if isinstance(content, list) else (content,)):
        try:
            yield (
                index,
                event_from_object(item, default_id=place.event_id(index), received_at=place.received_at),
            )
        except InvalidEvent as invalid:
            yield index, invalid


def _decode_value(value: bytes | None) -> Any:
    if not value:
        raise UnreadableRecord("the record has no value")
    if len(value) > MAX_RECORD_BYTES:
        # The broker limits what a batch has compressed: a value may still be many times larger.
        raise UnreadableRecord(f"a value of {len(value):,} bytes, more than the {MAX_RECORD_BYTES:,} of a record")
    try:
        content = _decode_any(value)
    except UnicodeDecodeError as error:
        raise UnreadableRecord(f"not UTF-8: {error.reason} at byte {error.start}") from error
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise UnreadableRecord(f"not JSON: {error}") from error
    if not isinstance(content, dict | list):
        raise UnreadableRecord("expected an event or an array of events")
    return content
