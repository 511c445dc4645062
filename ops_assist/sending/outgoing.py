"""Lines of a file as events that are ready to leave: checked, with an id, as JSON bytes.

An event without an id gets one from this run, its file and its line: however often a batch is tried again, it counts
once, while sending the same file again is a new run with new events.
"""

import uuid
from datetime import datetime
from typing import Annotated, Any, Final, NamedTuple

import msgspec

from ops_assist.sending.source import Line
from schemas.codec import encode
from schemas.event import InvalidEvent, WireEvent, event_from_object, to_event
from schemas.timestamps import now_micros, to_micros

_decode_object: Final = msgspec.json.Decoder(dict[str, Any]).decode
_Aware = Annotated[datetime, msgspec.Meta(tz=True)]


class Outgoing(NamedTuple):
    """One event. `origin` is FILE:LINE; `time` its event time in microseconds since the epoch, where it has one."""

    origin: str
    service: str
    time: int | None
    value: bytes


class UnsendableError(ValueError):
    """A line that is no event; the text says why."""


class Preparer:
    """Prepares the lines of one run.

    Args:
        service_prefix: goes in front of every service's name.
        check: whether events are checked here, because nobody checks them before they are in the log.
        timed: whether their event times are wanted.
    """

    def __init__(self, *, service_prefix: str = "", check: bool = False, timed: bool = False) -> None:
        self._run = uuid.uuid4().hex[:16]
        self._prefix = service_prefix
        self._check = check
        self._timed = timed

    def prepare(self, file: str, file_number: int, line: Line) -> Outgoing:
        """The event of a line, with an id; `file_number` tells the files of a run apart.

        Raises:
            UnsendableError: the line is no JSON object, or, with `check`, no valid event.
        """
        if line.content is None:
            raise UnsendableError("is too long for an event")
        try:
            fields = _decode_object(line.content)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UnsendableError(f"is no JSON object: {error}") from error
        if fields.get("id") is None:
            fields["id"] = f"{self._run}-{file_number}-{line.number}"
        if self._prefix and isinstance(fields.get("service"), str):
            fields["service"] = self._prefix + fields["service"].strip()
        if self._check:
            _check(fields)
        moment = _time_of(fields) if self._timed else None
        return Outgoing(f"{file}:{line.number}", str(fields.get("service")), moment, encode(fields))


def _check(fields: dict[str, Any]) -> None:
    received_at = now_micros()
    try:
        to_event(msgspec.convert(fields, WireEvent), default_id="", received_at=received_at)
    except (msgspec.ValidationError, ValueError, OverflowError):
        _check_field_by_field(fields, received_at)


def _check_field_by_field(fields: dict[str, Any], received_at: int) -> None:
    """The slow way, which has the last word and names what is wrong."""
    try:
        event_from_object(fields, default_id="", received_at=received_at)
    except InvalidEvent as error:
        raise UnsendableError(str(error)) from error


def _time_of(fields: dict[str, Any]) -> int | None:
    try:
        return to_micros(msgspec.convert(fields.get("timestamp"), _Aware))
    except (msgspec.ValidationError, ValueError, OverflowError):
        return None
