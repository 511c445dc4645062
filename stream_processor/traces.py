"""Which trace an incident's record belongs to: that of the event that opened it, or of the newest one it took in.

The state knows nothing of traces and no value of a record holds any: a replay without them gives the same bytes.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Final

import structlog

from runtime import tracing
from runtime.trace_context import TraceContext, context_of, current, under
from schemas.topics import EVENTS, INCIDENTS
from stream_processor.decisions import Decisions, Opened
from stream_processor.sorting import Record

log = structlog.get_logger(__name__)

SERVICE: Final = "stream_processor"
"""The scope of the processor's spans."""

_GROUP: Final = "ops-detection"
_MOST_LOGGED: Final = 100
"""Openings of one step that get a line each: when everything fails at once, a count says more."""

Contexts = Mapping[str, TraceContext]
"""By the key of an incident."""


class BatchTraces:
    """The traces of consecutive records of one partition of `ops.events`."""

    def __init__(self, partition: int, records: Sequence[Record]) -> None:
        self._partition, self._records = partition, records
        self._headers: dict[int, Sequence[tuple[str, bytes]]] | None = None

    @contextmanager
    def processing(self) -> Iterator[None]:
        """A span over the work on the batch, linked to what has sent it; none where nobody samples."""
        if not tracing.is_on():
            yield
            return
        senders = tracing.distinct(context_of(record.headers) for record in self._records if record.headers)
        if not senders:
            yield
            return
        first = self._records[0].offset
        attributes = {
            **tracing.of_record(EVENTS, self._partition, first, operation="process", group=_GROUP),
            "messaging.batch.message_count": len(self._records),
        }
        # One sender's span is the parent; of many none can be, and the span begins a trace of its own.
        parent = senders[0] if len(senders) == 1 else None
        with tracing.span(
            SERVICE, f"process {EVENTS}", "consumer", parent=parent, links=senders, attributes=attributes
        ):
            yield

    @contextmanager
    def publishing(self, decisions: Decisions) -> Iterator[Contexts]:
        """The contexts that the records of incidents carry; each opening is a span until the block ends."""
        causes = decisions.causes()
        contexts = {key: found for key, offset in causes.items() if (found := self._context_at(offset))}
        if not tracing.is_on():
            yield contexts
            return
        batch = current()
        links = [batch] if batch else []
        with ExitStack() as spans:
            for opened in decisions.openings():
                begun = spans.enter_context(self._opening(opened, contexts.get(opened.key), links))
                if begun.context:
                    contexts[opened.key] = begun.context
            yield contexts

    def _opening(
        self, opened: Opened, parent: TraceContext | None, links: list[TraceContext]
    ) -> AbstractContextManager[tracing.Span]:
        attributes: dict[str, tracing.Value] = {
            **tracing.of_record(INCIDENTS, self._partition, operation="send"),
            "ops.incident.key": opened.key,
            "ops.incident.rule": opened.rule,
            "ops.incident.service": opened.service,
        }
        return tracing.span(SERVICE, f"send {INCIDENTS}", "producer", parent=parent, links=links, attributes=attributes)

    def tell(self, decisions: Decisions) -> None:
        """Log the incidents that were opened, each with the place of the event that did it."""
        if not decisions.begun:
            return
        for opened in decisions.openings()[:_MOST_LOGGED]:
            place = {"topic": EVENTS, "partition": self._partition, "offset": opened.offset}
            with under(self._context_at(opened.offset)):
                log.info("incident_opened", incident=opened.key, rule=opened.rule, about=opened.service, **place)

    def _context_at(self, offset: int) -> TraceContext | None:
        if self._headers is None:
            self._headers = {record.offset: record.headers for record in self._records if record.headers}
        found = self._headers.get(offset)
        return context_of(found) if found else None
