"""A request's text to checked events. The common case is one typed decode; only what fails is read field by field."""

from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from typing import Any, Final

import msgspec

from ingest_gateway import refusal
from ingest_gateway.event_ids import IdFor
from ingest_gateway.json_text import UNREADABLE, MalformedJson, decode_any, without_bom
from schemas.event import Event, FieldError, InvalidEvent, WireEvent, event_from_object, to_event

MAX_EVENTS: Final = 10_000
"""The most events of one request (CONTRACT 2)."""

_decode_wire: Final = msgspec.json.Decoder(WireEvent).decode
_decode_wires: Final = msgspec.json.Decoder(list[WireEvent]).decode


class Rejected(msgspec.Struct, frozen=True):
    """An event of a batch that broke the rules."""

    index: int
    errors: list[FieldError]


class Batch(msgspec.Struct, frozen=True):
    """The events of a batch by their index in the request, and those that were rejected."""

    accepted: dict[int, Event]
    rejected: list[Rejected]

    @property
    def size(self) -> int:
        """How many events the request held."""
        return len(self.accepted) + len(self.rejected)


def read_event(body: bytes, id_for: IdFor, received_at: int) -> Event:
    """The event of a body that is one JSON object.

    Args:
        body: the unpacked body.
        id_for: gives the id of an event that brought none.
        received_at: microseconds since the epoch.

    Raises:
        Refusal: 400 where it is no JSON, 422 where it breaks the rules.
    """
    try:
        return _from_text(without_bom(body), 0, id_for, received_at)
    except MalformedJson as error:
        raise refusal.malformed(f"The body is not valid JSON: {error}") from error
    except InvalidEvent as error:
        raise refusal.invalid(
            f"The event was not accepted: {refusal.sentence(error.errors)}", errors=refusal.as_members(error.errors)
        ) from error


def read_array(body: bytes, id_for: IdFor, received_at: int) -> Batch:
    """The events of a body that is a JSON array; see `read_event`."""
    text = without_bom(body)
    readers: Iterable[Callable[[], Event]]
    try:
        wires = _decode_wires(text)
    except UNREADABLE:
        items = _items(text)
        check_count(len(items))
        readers = (_object_reader(item, index, id_for, received_at) for index, item in enumerate(items))
    else:
        check_count(len(wires))
        readers = (_wire_reader(wire, index, id_for, received_at) for index, wire in enumerate(wires))
    return collect(readers)


def read_lines(body: bytes, id_for: IdFor, received_at: int) -> Batch:
    """The events of a body of one JSON object a line; blank lines count for nothing, not even in the index."""
    return collect(_line_readers(without_bom(body), id_for, received_at))


def _line_readers(text: bytes, id_for: IdFor, received_at: int) -> Iterator[Callable[[], Event]]:
    index = 0
    for number, line in enumerate(BytesIO(text), 1):
        if line.isspace():
            continue
        check_count(index + 1)
        yield _line_reader(line, number, index, id_for, received_at)
        index += 1


def _line_reader(line: bytes, number: int, index: int, id_for: IdFor, received_at: int) -> Callable[[], Event]:
    def read() -> Event:
        try:
            return _from_text(line, index, id_for, received_at)
        except MalformedJson as error:
            at = f" at column {error.column}" if error.column else ""
            raise InvalidEvent([FieldError("", f"line {number} is not valid JSON: {error.what}{at}")]) from error

    return read


def _wire_reader(wire: WireEvent, index: int, id_for: IdFor, received_at: int) -> Callable[[], Event]:
    return lambda: to_event(wire, default_id="" if wire.id else id_for(index), received_at=received_at)


def _object_reader(item: object, index: int, id_for: IdFor, received_at: int) -> Callable[[], Event]:
    return lambda: event_from_object(item, default_id=id_for(index), received_at=received_at)


def collect(readers: Iterable[Callable[[], Event]]) -> Batch:
    """The events that can be read, and why the others cannot."""
    accepted: dict[int, Event] = {}
    rejected: list[Rejected] = []
    for index, read in enumerate(readers):
        try:
            accepted[index] = read()
        except InvalidEvent as error:
            rejected.append(Rejected(index, error.errors))
    return Batch(accepted, rejected)


def _from_text(text: bytes, index: int, id_for: IdFor, received_at: int) -> Event:
    try:
        wire = _decode_wire(text)
    except UNREADABLE:
        return event_from_object(decode_any(text), default_id=id_for(index), received_at=received_at)
    return to_event(wire, default_id="" if wire.id else id_for(index), received_at=received_at)


def _items(text: bytes) -> list[Any]:
    try:
        value = decode_any(text)
    except MalformedJson as error:
        raise refusal.malformed(f"The body is not valid JSON: {error}") from error
    if not isinstance(value, list):
        raise refusal.invalid(
            "Expected a JSON array of events; send a single event to /api/v1/events",
            errors=[{"field": "", "message": "expected a JSON array of events"}],
        )
    return value


def check_count(count: int) -> None:
    """Refuse (413) a request of more events than one may hold."""
    if count > MAX_EVENTS:
        raise refusal.too_large(f"The request holds more than {MAX_EVENTS:,} events; send them in smaller parts")
