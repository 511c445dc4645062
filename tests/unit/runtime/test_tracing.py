"""Spans where an endpoint is set, and no SDK where none is."""

import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from prometheus_client import REGISTRY

from runtime import tracing
from runtime.otlp import OtlpRecorder
from runtime.settings import load_settings
from runtime.trace_context import TraceContext, current
from tests.support.otlp_receiver import collector
from tests.support.span_recorder import MemoryRecorder
from tests.support.waiting import wait_until

THREADS = ("OtelBatchSpanRecordProcessor", "traces-shutdown")
CONTEXT = TraceContext("a" * 32, "b" * 16, 1)


@pytest.fixture(autouse=True)
def _own_variables(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Those of whoever runs the tests are not theirs."""
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_SERVICE_NAME", "OTEL_TRACES_SAMPLER", "OTEL_BSP_SCHEDULE_DELAY"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    yield
    tracing.close_tracing()
    # A thread that is left behind would draw from `random` in the tests that come after.
    wait_until(lambda: not any(thread.name in THREADS for thread in threading.enumerate()), what="the end of threads")


def counted(outcome: str) -> float:
    return REGISTRY.get_sample_value("ops_traces_spans_total", {"outcome": outcome}) or 0.0


def one_span(recorder: OtlpRecorder, name: str = "work", parent: TraceContext | None = None) -> TraceContext:
    span = recorder.start("a_service", name, "internal", parent=parent, links=[], attributes={})
    span.end()
    assert span.context is not None
    return span.context


@pytest.mark.parametrize(
    "settings",
    [{}, {"otel_sdk_disabled": True, "otel_exporter_otlp_endpoint": "http://x"},
     {"otel_traces_exporter": "none", "otel_exporter_otlp_endpoint": "http://x"}],
)  # fmt: skip
def test_nothing_is_recorded_unless_an_endpoint_is_set(settings: dict[str, object]) -> None:
    """The trace of the caller is kept all the same."""
    tracing.configure_tracing(load_settings(_env_file=None, **settings), "a_service")
    assert not tracing.is_on()
    with tracing.span("a_service", "work", parent=CONTEXT) as span:
        assert current() == span.context == CONTEXT


def test_services_without_an_endpoint_import_neither_the_sdk_nor_an_exporter() -> None:
    """FastAPI brings OpenTelemetry's bare API in, which does nothing by itself."""
    modules = "ops_assist.front_door, stream_processor.app, analyzer_worker.worker, query_api.materializer.consumer"
    code = (
        f"import sys, {modules}; from runtime.tracing import configure_tracing; "
        "from runtime.settings import load_settings; configure_tracing(load_settings(_env_file=None), 'x'); "
        "print([n for n in sys.modules if n.startswith(('opentelemetry.sdk', 'opentelemetry.exporter'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_error_fails_the_span_by_its_type_alone() -> None:
    """What it says may quote what a producer has sent."""
    recorder = MemoryRecorder()
    with tracing.recording(recorder), pytest.raises(ValueError, match="secret"):  # noqa: SIM117 - what raises is inside
        with tracing.span("a_service", "work", parent=CONTEXT):
            raise ValueError("a secret")
    (span,) = recorder.spans
    assert (span.error, span.ended, span.attributes, current()) == ("ValueError", 1, {}, None)


def test_spans_reach_the_endpoint_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """With their parent, links and the names of the service and of the room that made them."""
    monkeypatch.setenv("OTEL_SERVICE_NAME", "ours")
    with collector() as seen:
        settings = load_settings(_env_file=None, otel_exporter_otlp_endpoint=seen.url)
        tracing.configure_tracing(settings, "a_service")
        link = CONTEXT._replace(span_id="c" * 16)
        with tracing.span("a_room", "work", "consumer", parent=CONTEXT, links=[link], attributes={"n": 1}) as span:
            span.fail("Broken")
        tracing.close_tracing()
        (found,) = seen.spans()
    assert (found.service, found.scope, found.name, found.kind) == ("ours", "a_room", "work", "consumer")
    assert (found.trace_id, found.parent_id) == (CONTEXT.trace_id, CONTEXT.span_id)
    assert found.links == [(link.trace_id, link.span_id)]
    assert found.attributes == {"n": 1, "error.type": "Broken"}
    assert found.is_error


def test_a_trace_that_its_caller_does_not_record_is_handed_on_and_not_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the default sampler has it; a ratio of none begins no trace either."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0")
    exporter = Exporter()
    recorder = OtlpRecorder("a_service", exporter)
    unsampled = one_span(recorder, parent=CONTEXT._replace(flags=0))
    begun = one_span(recorder)
    sampled = one_span(recorder, "kept", parent=CONTEXT)
    recorder.close(30)
    assert (unsampled.trace_id, unsampled.is_sampled, begun.is_sampled, sampled.is_sampled) == (
        CONTEXT.trace_id, False, False, True,
    )  # fmt: skip
    assert exporter.names == ["kept"]


class Exporter(SpanExporter):
    """Keeps names, and gives the result that it is told to."""

    def __init__(self, result: SpanExportResult = SpanExportResult.SUCCESS) -> None:
        self.result, self.names = result, list[str]()

    def export(self, spans: object) -> SpanExportResult:
        assert isinstance(spans, tuple | list)
        self.names += [span.name for span in spans if isinstance(span, ReadableSpan)]
        return self.result


def test_what_the_endpoint_does_not_take_is_counted() -> None:
    """And forgotten."""
    before = counted("failed")
    recorder = OtlpRecorder("a_service", Exporter(SpanExportResult.FAILURE))
    one_span(recorder)
    recorder.close(30)
    assert counted("failed") == before + 1


def test_an_endpoint_that_hangs_bounds_the_queue_and_holds_up_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spans beyond the queue are dropped and counted; the end does not wait for the answer."""
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "4")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2")
    with collector() as seen:
        seen.silence.clear()
        tracing.configure_tracing(load_settings(_env_file=None, otel_exporter_otlp_endpoint=seen.url), "a_service")
        before = counted("dropped")

        def one_more_is_dropped() -> bool:
            with tracing.span("a_room", "work", parent=None):
                pass
            return counted("dropped") > before

        wait_until(one_more_is_dropped, what="a full queue")
        tracing.close_tracing()
        assert not seen.silence.is_set()
        assert seen.bodies == []
        seen.silence.set()
        wait_until(seen.spans, what="the spans that were under way")


def test_a_variable_that_the_sdk_cannot_use_stops_no_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """There are no traces then."""
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "1")
    tracing.configure_tracing(load_settings(_env_file=None, otel_exporter_otlp_endpoint="http://127.0.0.1:9"), "x")
    assert not tracing.is_on()


def test_only_sampled_contexts_are_linked_each_once_and_the_newest_of_too_many() -> None:
    """A span has so many links and no more."""
    many = [CONTEXT._replace(span_id=f"{number:016x}") for number in range(1, 200)]
    assert tracing.distinct([None, CONTEXT, CONTEXT, CONTEXT._replace(flags=0)]) == [CONTEXT]
    assert tracing.distinct(many) == many[-tracing.MOST_LINKS :]
