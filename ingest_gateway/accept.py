"""What the two routes do between a request's text and its answer: read, write, and say truly what became of it."""

import time
from collections.abc import Callable
from typing import Any, Final

import msgspec

from ingest_gateway import refusal, traces
from ingest_gateway.event_ids import IdFor
from ingest_gateway.event_log import EventLog, NotWritten, OutcomeUnknown, PublishError, Record
from ingest_gateway.packing import records_of
from ingest_gateway.reading import Batch, Rejected, read_event
from runtime.metrics import EVENTS_ACCEPTED, EVENTS_REFUSED, PUBLISH_SECONDS
from schemas.canary import PREFIX, is_canary
from schemas.codec import encode, encode_events
from schemas.event import Event, FieldError
from schemas.levels import Level
from schemas.timestamps import now_micros, to_rfc3339
from schemas.topics import MAX_EVENT_BYTES

_RESERVED: Final = f"names that begin with {PREFIX} are kept for the pipeline's own events; give the service another"
_TOO_LARGE: Final = f"takes more than {MAX_EVENT_BYTES:,} bytes as JSON, which is more than one record can hold"

Reader = Callable[[bytes, IdFor, int], Batch]


class Answer(msgspec.Struct, frozen=True):
    """A successful answer, encoded."""

    status: int
    body: bytes


class AcceptedEvent(msgspec.Struct, frozen=True):
    """The answer to a single event; it belongs to no incident yet."""

    id: str
    service: str
    level: Level
    message: str
    timestamp: str
    incident_id: None = None


class AcceptedBatch(msgspec.Struct, frozen=True):
    """The answer to a batch."""

    accepted: int
    rejected: list[Rejected]


async def accept_event(log: EventLog, body: bytes, id_for: IdFor) -> Answer:
    """Write one event, of anybody but the canary, and answer with it.

    Raises:
        Refusal: 400, 413, 422 or 503.
    """
    event = read_event(body, id_for, now_micros())
    if is_canary(event.service):
        raise refusal.invalid(
            f"The event was not accepted: service: {_RESERVED}", errors=[{"field": "service", "message": _RESERVED}]
        )
    value = encode_events([event])
    if len(value) > MAX_EVENT_BYTES:
        raise refusal.too_large(f"The event {_TOO_LARGE}; shorten its attributes")
    try:
        await _publish(log, [Record(event.service, value)])
    except PublishError as error:
        raise _unwritten(error, "event", 1, {"id": event.id}) from error
    _accepted_events.inc()
    answer = AcceptedEvent(event.id, event.service, event.level, event.message, to_rfc3339(event.timestamp))
    return Answer(201, encode(answer))


async def accept_batch(log: EventLog, body: bytes, id_for: IdFor, read: Reader, *, by_canary: bool = False) -> Answer:
    """Write the events of a batch that keep the rules, and answer which did not.

    `by_canary`: the canary sends it, whose events are counted nowhere; its services are refused from anybody else.

    Raises:
        Refusal: 400, 413, 422 or 503.
    """
    batch = _without(_is_too_large, [FieldError("", _TOO_LARGE)], read(body, id_for, now_micros()))
    if not by_canary:
        batch = _without(_is_reserved, [FieldError("service", _RESERVED)], batch)
    if batch.rejected and not batch.accepted:
        raise refusal.invalid(
            f"None of the {batch.size} events was accepted; `errors` says why",
            events=batch.size,
            accepted=0,
            rejected=_members(batch.rejected),
            errors=_flat(batch.rejected),
        )
    if batch.accepted:
        try:
            await _publish(log, records_of(batch.accepted.values()))
        except PublishError as error:
            raise _unwritten(error, "events", batch.size, {"ids": _ids(batch)}) from error
    if not by_canary:
        _accepted_batches.inc(len(batch.accepted))
    if batch.rejected:
        _rejected_in_batches.inc(len(batch.rejected))
    return Answer(207 if batch.rejected else 201, encode(AcceptedBatch(len(batch.accepted), batch.rejected)))


async def _publish(log: EventLog, records: list[Record]) -> None:
    started = time.perf_counter()
    await (traces.publish(log, records) if traces.is_needed() else log.publish(records))
    PUBLISH_SECONDS.observe(time.perf_counter() - started)


def _unwritten(error: PublishError, noun: str, events: int, ids: dict[str, Any]) -> refusal.Refusal:
    if isinstance(error, NotWritten):
        return refusal.unavailable(
            refusal.UNAVAILABLE,
            f"Nothing was written: {error.reason}; send it again",
            error.retry_after,
            events=events,
        )
    assert isinstance(error, OutcomeUnknown)
    (name,) = ids
    return refusal.unavailable(
        refusal.OUTCOME_UNKNOWN,
        f"The {noun} may have been written: {error.reason}; send again with the given {name}, so that it counts once",
        error.retry_after,
        events=events,
        **ids,
    )


def _without(is_wrong: Callable[[Event], bool], errors: list[FieldError], batch: Batch) -> Batch:
    wrong = {index for index, event in batch.accepted.items() if is_wrong(event)}
    if not wrong:
        return batch
    rejected = [*batch.rejected, *(Rejected(index, errors) for index in wrong)]
    accepted = {index: event for index, event in batch.accepted.items() if index not in wrong}
    return Batch(accepted, sorted(rejected, key=lambda item: item.index))


def _is_reserved(event: Event) -> bool:
    return is_canary(event.service)


def _is_too_large(event: Event) -> bool:
    # The message is bounded by the rules; only these are not, and JSON writes a character in at most six bytes.
    unbounded = (event.trace_id, event.span_id, event.host, event.environment)
    if event.attributes is None and not any(unbounded):
        return False
    return len(encode_events([event])) > MAX_EVENT_BYTES


def _ids(batch: Batch) -> list[str | None]:
    return [event.id if (event := batch.accepted.get(index)) else None for index in range(batch.size)]


def _members(rejected: list[Rejected]) -> list[dict[str, Any]]:
    return [{"index": item.index, "errors": refusal.as_members(item.errors)} for item in rejected]


def _flat(rejected: list[Rejected]) -> list[dict[str, str]]:
    return [
        {"field": f"{item.index}.{error.field}".rstrip("."), "message": error.message}
        for item in rejected
        for error in item.errors
    ]


_accepted_events = EVENTS_ACCEPTED.labels("/api/v1/events")
_accepted_batches = EVENTS_ACCEPTED.labels("/api/v1/events/batch")
_rejected_in_batches = EVENTS_REFUSED.labels("/api/v1/events/batch", refusal.INVALID)
