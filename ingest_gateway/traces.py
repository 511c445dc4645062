"""What of a request's trace goes into the records that it writes."""

from collections.abc import Sequence
from typing import Final

import msgspec

from ingest_gateway.event_log import EventLog, Record
from runtime import tracing
from runtime.trace_context import current, headers_of
from schemas.topics import EVENTS

SERVICE: Final = "ingest_gateway"
"""The scope of the gateway's spans."""

_SEND: Final[tracing.Attributes] = {
    "messaging.system": "kafka",
    "messaging.operation.name": "send",
    "messaging.operation.type": "send",
    "messaging.destination.name": EVENTS,
}


def is_needed() -> bool:
    """Whether there is a trace to hand on or to record."""
    return tracing.is_on() or current() is not None


async def publish(log: EventLog, records: Sequence[Record]) -> None:
    """Write records under the request's trace, if it has one: one span for all of them, which each of them names."""
    if not tracing.is_on():
        await log.publish(_with_trace(records))
        return
    attributes = {**_SEND, "messaging.batch.message_count": len(records)}
    with tracing.span(SERVICE, f"send {EVENTS}", "producer", parent=current(), attributes=attributes):
        await log.publish(_with_trace(records))


def _with_trace(records: Sequence[Record]) -> Sequence[Record]:
    headers = headers_of(current())
    return [msgspec.structs.replace(record, headers=headers) for record in records] if headers else records
