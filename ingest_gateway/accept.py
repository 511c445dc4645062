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
from schemas.codec import encode, encode_events
from schemas.event import Event, FieldError
from schemas.levels import Level
from schemas.timestamps import now_micros, to_rfc3339
from schemas.topics import MAX_EVENT_BYTES

_TOO_LARGE: Final = f"takes more than {MAX_EVENT_BYTES:,} bytes as JSON, which is more than one record can hold"

EVENTS_PATH: Final = "/api/v1/events"
BATCH_PATH: Final = "/api/v1/events/batch"

Reader = Callable[[bytes, IdFor, int], Batch]


class Answer(msgspec.Struct, frozen=True):
    """A successful answer, encoded."""

    status: int
    body: bytes
    media_type: str = "application/json"


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
    """Write one event and answer with it.

    Raises:
        Refusal: 400, 413, 422 or 503.
    """
    event = read_event(body, id_for, now_micros())
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


async def accept_batch(log: EventLog, body: bytes, id_for: IdFor, read: Reader) -> Answer:
    """Write the events of a batch that keep the rules, and answer which did not.

    Raises:
        Refusal: 400, 413, 422 or 503.
    """
    return answer_batch(await write_batch(log, read(body, id_for, now_micros())), BATCH_PATH)


async def write_batch(log: EventLog, batch: Batch) -> Batch:
    """Write the events that keep the rules; gives them, and those that do not or are too large.

    Raises:
        Refusal: 503.
    """
    batch = _without_too_large(batch)
    if batch.accepted:
        try:
            await _publish(log, records_of(batch.accepted.values()))
        except PublishError as error:
            raise _unwritten(error, "events", batch.size, {"ids": _ids(batch)}) from error
    return batch


def answer_batch(batch: Batch, route: str) -> Answer:
    """What became of a batch whose valid events are written; they are counted under `route`.

    Raises:
        Refusal: 422 where there is no valid one.
    """
    if batch.rejected and not batch.accepted:
        raise refusal.invalid(
            f"None of the {batch.size} events was accepted; `errors` says why",
            events=batch.size,
            accepted=0,
            rejected=_members(batch.rejected),
            errors=_flat(batch.rejected),
        )
    count_batch(batch, route)
    return Answer(207 if batch.rejected else 201, encode(AcceptedBatch(len(batch.accepted), batch.rejected)))


def count_batch(batch: Batch, route: str) -> None:
    """Count the events of a batch whose valid ones are written."""
    EVENTS_ACCEPTED.labels(route).inc(len(batch.accepted))
    if batch.rejected:
        EVENTS_REFUSED.labels(route, refusal.INVALID).inc(len(batch.rejected))


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


def _without_too_large(batch: Batch) -> Batch:
    too_large = [index for index, event in batch.accepted.items() if _is_too_large(event)]
    if not too_large:
        return batch
    rejected = [*batch.rejected, *(Rejected(index, [FieldError("", _TOO_LARGE)]) for index in too_large)]
    accepted = {index: event for index, event in batch.accepted.items() if index not in set(too_large)}
    return Batch(accepted, sorted(rejected, key=lambda item: item.index))


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


_accepted_events = EVENTS_ACCEPTED.labels(EVENTS_PATH)
