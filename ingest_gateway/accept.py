"""What the routes do between a request's text and its answer: read, write, and say which events were taken."""

from typing import Any, Final

import msgspec

from ingest_gateway import refusal
from ingest_gateway.event_ids import IdFor
from ingest_gateway.event_log import EventLog
from ingest_gateway.reading import Batch, Rejected, read_event
from ingest_gateway.writing import write_event
from runtime.metrics import EVENTS_ACCEPTED, EVENTS_REFUSED
from schemas.codec import encode
from schemas.levels import Level
from schemas.timestamps import now_micros, to_rfc3339

EVENTS_PATH: Final = "/api/v1/events"
BATCH_PATH: Final = "/api/v1/events/batch"


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
    await write_event(log, event)
    _accepted_events.inc()
    answer = AcceptedEvent(event.id, event.service, event.level, event.message, to_rfc3339(event.timestamp))
    return Answer(201, encode(answer))


def answer_batch(batch: Batch, route: str, *, by_canary: bool = False) -> Answer:
    """What became of a batch whose valid events are written; they are counted under `route`, but for the canary's.

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
    if not by_canary:
        count_batch(batch, route)
    return Answer(207 if batch.rejected else 201, encode(AcceptedBatch(len(batch.accepted), batch.rejected)))


def count_batch(batch: Batch, route: str) -> None:
    """Count the events of a batch whose valid ones are written."""
    EVENTS_ACCEPTED.labels(route).inc(len(batch.accepted))
    if batch.rejected:
        EVENTS_REFUSED.labels(route, refusal.INVALID).inc(len(batch.rejected))


def _members(rejected: list[Rejected]) -> list[dict[str, Any]]:
    return [{"index": item.index, "errors": refusal.as_members(item.errors)} for item in rejected]


def _flat(rejected: list[Rejected]) -> list[dict[str, str]]:
    return [
        {"field": f"{item.index}.{error.field}".rstrip("."), "message": error.message}
        for item in rejected
        for error in item.errors
    ]


_accepted_events = EVENTS_ACCEPTED.labels(EVENTS_PATH)
