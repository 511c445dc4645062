"""Checked events into the log, and what the sender is told where that fails: the truth about what became of them."""

import time
from collections.abc import Callable
from typing import Any, Final

from ingest_gateway import refusal, traces
from ingest_gateway.event_log import EventLog, NotWritten, OutcomeUnknown, PublishError, Record
from ingest_gateway.packing import records_of
from ingest_gateway.reading import Batch, Rejected
from runtime.metrics import PUBLISH_SECONDS
from schemas.canary import PREFIX, is_canary
from schemas.codec import encode_events
from schemas.event import Event, FieldError
from schemas.topics import MAX_EVENT_BYTES

RESERVED: Final = f"names that begin with {PREFIX} are kept for the pipeline's own events; give the service another"
TOO_LARGE: Final = f"takes more than {MAX_EVENT_BYTES:,} bytes as JSON, which is more than one record can hold"


async def write_event(log: EventLog, event: Event) -> None:
    """Write one event, of anybody but the canary.

    Raises:
        Refusal: 413, 422 or 503.
    """
    if is_canary(event.service):
        raise refusal.invalid(
            f"The event was not accepted: service: {RESERVED}", errors=[{"field": "service", "message": RESERVED}]
        )
    value = encode_events([event])
    if len(value) > MAX_EVENT_BYTES:
        raise refusal.too_large(f"The event {TOO_LARGE}; shorten its attributes")
    try:
        await _publish(log, [Record(event.service, value)])
    except PublishError as error:
        raise _unwritten(error, "event", 1, {"id": event.id}) from error


async def write_batch(log: EventLog, batch: Batch, *, by_canary: bool = False) -> Batch:
    """Write the events that keep the rules; gives them, and those that do not, among them what is too large.

    `by_canary`: the canary sends it; its services are refused from anybody else.

    Raises:
        Refusal: 503.
    """
    batch = _without(_is_too_large, [FieldError("", TOO_LARGE)], batch)
    if not by_canary:
        batch = _without(_is_reserved, [FieldError("service", RESERVED)], batch)
    if batch.accepted:
        try:
            await _publish(log, records_of(batch.accepted.values()))
        except PublishError as error:
            raise _unwritten(error, "events", batch.size, {"ids": _ids(batch)}) from error
    return batch


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
