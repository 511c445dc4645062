"""An event: what producers send, how it is checked, and the one form in which the pipeline keeps it (CONTRACT 2, 3)."""

from datetime import datetime
from typing import Annotated, Any, Final, get_type_hints

import msgspec
from msgspec import Meta

from schemas.levels import ALIASES, LEVELS, Level, fold_level
from schemas.timestamps import EARLIEST, MICROSECONDS, from_leap_second, to_micros, to_rfc3339

MAX_SERVICE: Final = 100
MAX_MESSAGE: Final = 32_768
MAX_ID: Final = 64
MAX_ATTRIBUTES: Final = 64
MAX_FUTURE: Final = 5 * 60 * MICROSECONDS
"""How far ahead of its receipt an event's time may lie, in microseconds."""

Attributes = dict[str, str | int | float | bool]


class FieldError(msgspec.Struct, frozen=True):
    """What is wrong with one field of an event, in a sentence that says what the field takes."""

    field: str
    message: str


class InvalidEvent(ValueError):  # noqa: N818 - reads as what it is
    """An event that breaks the rules; `errors` says field by field how."""

    def __init__(self, errors: list[FieldError]) -> None:
        super().__init__("; ".join(f"{error.field}: {error.message}" for error in errors))
        self.errors = errors


class WireEvent(msgspec.Struct, gc=False):
    """An event as it arrives; unknown fields are ignored."""

    service: Annotated[str, Meta(min_length=1, description="1 to 100 characters after trimming")]
    level: Annotated[str, Meta(description="DEBUG to FATAL in any case, or an alias such as WARN")]
    message: Annotated[str, Meta(min_length=1, max_length=MAX_MESSAGE)]
    timestamp: Annotated[datetime, Meta(tz=True)] | None = None
    id: Annotated[str, Meta(min_length=1, max_length=MAX_ID)] | None = None
    attributes: Annotated[Attributes, Meta(max_length=MAX_ATTRIBUTES)] | None = None
    trace_id: str | None = None
    span_id: str | None = None
    host: str | None = None
    environment: str | None = None


class Event(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A valid event. `timestamp` is its event time in microseconds since the epoch."""

    id: str
    service: str
    level: Level
    message: str
    timestamp: int
    attributes: Attributes | None = None
    trace_id: str | None = None
    span_id: str | None = None
    host: str | None = None
    environment: str | None = None


_FIELDS: Final = WireEvent.__struct_fields__
_EXPECTED: Final[dict[str, str]] = {
    "service": f"a string of 1 to {MAX_SERVICE} characters after trimming",
    "level": f"one of {', '.join(LEVELS)} in any case, or an alias ({', '.join(ALIASES)})",
    "message": f"a string of 1 to {MAX_MESSAGE} characters",
    "timestamp": "an RFC 3339 time with offset, as 2023-01-29T08:42:22Z",
    "id": f"a string of 1 to {MAX_ID} characters",
    "attributes": f"a flat object of strings, numbers and booleans with at most {MAX_ATTRIBUTES} keys",
    "trace_id": "a string",
    "span_id": "a string",
    "host": "a string",
    "environment": "a string",
}


def to_event(wire: WireEvent, *, default_id: str, received_at: int) -> Event:
    """Check what the wire type cannot and bring the event to its one form.

    Args:
        wire: the decoded event.
        default_id: its id where it brought none.
        received_at: the time of receipt, in microseconds since the epoch: its event time where it brought none.

    Raises:
        InvalidEvent: with every field that breaks a rule.
    """
    service = wire.service.strip()
    level = fold_level(wire.level)
    timestamp = received_at if wire.timestamp is None else to_micros(wire.timestamp)
    in_time = EARLIEST <= timestamp <= received_at + MAX_FUTURE
    if level is None or not service or len(service) > MAX_SERVICE or not in_time:
        raise InvalidEvent(_semantic_errors(service, level, timestamp, received_at))
    return Event(
        wire.id or default_id,
        service,
        level,
        wire.message,
        timestamp,
        wire.attributes or None,
        wire.trace_id,
        wire.span_id,
        wire.host,
        wire.environment,
    )


def event_from_object(value: object, *, default_id: str, received_at: int) -> Event:
    """The event in a decoded JSON value, with every broken field named; see `to_event`."""
    if not isinstance(value, dict):
        raise InvalidEvent([FieldError("", "expected a JSON object with service, level and message")])
    errors: list[FieldError] = []
    good: dict[str, Any] = {}
    for name in _FIELDS:
        _convert_field(name, value, good, errors)
    if "level" in good and fold_level(good["level"]) is None:
        errors.append(FieldError("level", f"expected {_EXPECTED['level']}"))
    if "service" in good and not 1 <= len(good["service"].strip()) <= MAX_SERVICE:
        errors.append(FieldError("service", f"expected {_EXPECTED['service']}"))
    if "timestamp" in good:
        errors += _time_errors(to_micros(good["timestamp"]), received_at)
    if errors:
        raise InvalidEvent(errors)
    return to_event(WireEvent(**good), default_id=default_id, received_at=received_at)


def to_wire(event: Event) -> dict[str, Any]:
    """The event as JSON-ready fields, in the form of the contract; absent fields are left out."""
    fields: dict[str, Any] = msgspec.structs.asdict(event)
    fields["timestamp"] = to_rfc3339(event.timestamp)
    return {name: value for name, value in fields.items() if value is not None}


def _convert_field(name: str, value: dict[Any, Any], good: dict[str, Any], errors: list[FieldError]) -> None:
    required = name in ("service", "level", "message")
    if name not in value or (value[name] is None and not required):
        if required:
            errors.append(FieldError(name, f"is required: {_EXPECTED[name]}"))
        return
    try:
        good[name] = msgspec.convert(value[name], _FIELD_TYPES[name])
    except (msgspec.ValidationError, ValueError, OverflowError):
        leap = from_leap_second(value[name]) if name == "timestamp" and isinstance(value[name], str) else None
        if leap is None:
            errors.append(FieldError(name, f"expected {_EXPECTED[name]}"))
        else:
            good[name] = leap


_FIELD_TYPES: Final[dict[str, Any]] = get_type_hints(WireEvent, include_extras=True)


def _semantic_errors(service: str, level: Level | None, timestamp: int, received_at: int) -> list[FieldError]:
    errors = []
    if not 1 <= len(service) <= MAX_SERVICE:
        errors.append(FieldError("service", f"expected {_EXPECTED['service']}"))
    if level is None:
        errors.append(FieldError("level", f"expected {_EXPECTED['level']}"))
    return errors + _time_errors(timestamp, received_at)


def _time_errors(timestamp: int, received_at: int) -> list[FieldError]:
    if timestamp > received_at + MAX_FUTURE:
        return [FieldError("timestamp", "lies more than 5 minutes in the future; check the sender's clock")]
    if timestamp < EARLIEST:
        return [FieldError("timestamp", "lies before the year 1 in UTC")]
    return []
