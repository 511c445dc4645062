"""The only module that knows OpenTelemetry's SDK: spans to an OTLP endpoint over HTTP, beside the work, never before.

The SDK's own variables (OTEL_...) say where to, how many and how large. Its queue is bounded; what does not fit and
what the endpoint does not take is counted in `ops_traces_spans_total` and forgotten.
"""

import logging
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Final

import structlog
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.environment_variables import OTEL_BSP_MAX_QUEUE_SIZE
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from runtime.health import VERSION
from runtime.metrics import TRACE_SPANS
from runtime.trace_context import TraceContext
from runtime.tracing import Attributes, Kind, Value

log = structlog.get_logger(__name__)

_QUEUE_SIZE: Final = 2_048
"""The SDK's default."""
_KINDS: Final[dict[Kind, SpanKind]] = {
    "internal": SpanKind.INTERNAL,
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
    "producer": SpanKind.PRODUCER,
    "consumer": SpanKind.CONSUMER,
}


class OtlpRecorder:
    """See `runtime.tracing.Recorder`."""

    def __init__(self, service: str, exporter: SpanExporter | None = None) -> None:
        """`service`: its name where OTEL_SERVICE_NAME sets none; `exporter`: default, that of the variables."""
        # It logs each failure and retry; the beginning and the end of an outage are said below.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        # Not made global: what libraries would record by themselves may hold what people say.
        self._provider = TracerProvider(resource=_resource(service), shutdown_on_exit=False)
        self._provider.add_span_processor(CountingProcessor(exporter or OTLPSpanExporter()))
        self._tracer = lru_cache(lambda scope: self._provider.get_tracer(scope, VERSION))

    def start(
        self,
        scope: str,
        name: str,
        kind: Kind,
        *,
        parent: TraceContext | None,
        links: Iterable[TraceContext],
        attributes: Attributes,
    ) -> "OtlpSpan":
        """See `Recorder`."""
        begun = self._tracer(scope).start_span(
            name,
            # An empty context: whatever a library has made current in this thread is no parent of ours.
            trace.set_span_in_context(NonRecordingSpan(_to_otel(parent)), Context()) if parent else Context(),
            kind=_KINDS[kind],
            attributes=dict(attributes),
            links=[trace.Link(_to_otel(link)) for link in links],
        )
        return OtlpSpan(begun)

    def close(self, seconds: float) -> None:
        """See `Recorder`. The SDK would wait longer for an endpoint that does not answer."""
        ending = threading.Thread(target=self._provider.shutdown, name="traces-shutdown", daemon=True)
        ending.start()
        ending.join(seconds)


class OtlpSpan:
    """See `runtime.tracing.Span`."""

    def __init__(self, begun: trace.Span) -> None:
        self._span = begun
        self.context: TraceContext | None = _from_otel(begun.get_span_context())

    def set(self, name: str, value: Value) -> None:
        """See `Span`."""
        self._span.set_attribute(name, value)

    def rename(self, name: str) -> None:
        """See `Span`."""
        self._span.update_name(name)

    def fail(self, error_type: str) -> None:
        """See `Span`."""
        if not self._span.is_recording():
            return
        self._span.set_attribute("error.type", error_type)
        self._span.set_status(Status(StatusCode.ERROR))

    def end(self) -> None:
        """See `Span`; a second time is no fault, which the SDK would log."""
        if self._span.is_recording():
            self._span.end()


class CountingProcessor(BatchSpanProcessor):
    """The SDK's bounded queue, which says when it drops: it would take the newest for the oldest and tell nobody."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._most = _queue_size()
        self._waiting = 0
        self._lock = threading.Lock()
        super().__init__(_CountingExporter(exporter, self._left), max_queue_size=self._most)

    def on_end(self, span: ReadableSpan) -> None:
        """Queue a span, or drop it where the queue is full."""
        if not (span.context and span.context.trace_flags.sampled):
            return
        with self._lock:
            is_full = self._waiting >= self._most
            self._waiting += not is_full
        if is_full:
            TRACE_SPANS.labels("dropped").inc()
        else:
            super().on_end(span)

    def _left(self, count: int) -> None:
        with self._lock:
            self._waiting -= count


class _CountingExporter(SpanExporter):
    """Counts what another exporter does and logs when it begins and ceases to fail."""

    def __init__(self, exporter: SpanExporter, left: Callable[[int], None]) -> None:
        self._exporter, self._left = exporter, left
        self._fails = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """See `SpanExporter`."""
        self._left(len(spans))
        result = self._exporter.export(spans)
        fails = result is not SpanExportResult.SUCCESS
        TRACE_SPANS.labels("failed" if fails else "exported").inc(len(spans))
        if fails != self._fails:
            self._fails = fails
            log.warning("traces_not_exported" if fails else "traces_exported_again", spans=len(spans))
        return result

    def shutdown(self) -> None:
        """See `SpanExporter`."""
        self._exporter.shutdown()


def _queue_size() -> int:
    text = os.environ.get(OTEL_BSP_MAX_QUEUE_SIZE, "")
    return int(text) if text.isdecimal() else _QUEUE_SIZE


def _resource(service: str) -> Resource:
    names = os.environ.get("OTEL_SERVICE_NAME") or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    own = {} if names else {"service.name": service}
    return Resource.create({"service.namespace": "ops-assist", "service.version": VERSION, **own})


def _to_otel(context: TraceContext) -> SpanContext:
    return SpanContext(
        int(context.trace_id, 16),
        int(context.span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(context.flags),
        trace_state=TraceState.from_header([context.state]) if context.state else None,
    )


def _from_otel(context: SpanContext) -> TraceContext:
    return TraceContext(
        f"{context.trace_id:032x}", f"{context.span_id:016x}", int(context.trace_flags), context.trace_state.to_header()
    )
