"""A request's trace goes into every record that it writes, whether spans are exported or not."""

import pytest

from runtime import tracing
from runtime.trace_context import TraceContext, context_of
from tests.support.span_recorder import MemoryRecorder
from tests.unit.ingest_gateway.gateway_client import Gateway, event

CONTEXT = TraceContext("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", 1, "shop=7")
TRACEPARENT = f"00-{CONTEXT.trace_id}-{CONTEXT.span_id}-01"


def test_without_spans_the_callers_trace_is_handed_on(gateway: Gateway) -> None:
    """To every record of a request."""
    gateway.send_batch(event(), event(service="other"), traceparent=TRACEPARENT, tracestate="shop=7")
    assert [context_of(headers) for headers in gateway.log.headers] == [CONTEXT, CONTEXT]


@pytest.mark.parametrize("garbage", ["", "x", f"00-{'0' * 32}-{'1' * 16}-01", f"{TRACEPARENT}-more"])
def test_a_garbage_traceparent_is_as_if_there_were_none(gateway: Gateway, garbage: str) -> None:
    """The events are taken, and their records have no headers."""
    assert gateway.send_batch(event(), traceparent=garbage).status_code == 201
    assert gateway.log.headers == [()]


def test_a_request_is_one_span_and_what_it_writes_another(gateway: Gateway) -> None:
    """However many events and records it holds; each record names the second."""
    recorder = MemoryRecorder()
    with tracing.recording(recorder):
        gateway.send_batch(event(), event(), event(service="other"), traceparent=TRACEPARENT)
    request, send = recorder.spans
    assert (request.name, request.kind) == ("POST /api/v1/events/batch", "server")
    assert request.parent == CONTEXT._replace(state="")
    assert request.attributes["http.response.status_code"] == 201
    assert (send.name, send.kind, send.parent) == ("send ops.events", "producer", request.context)
    assert send.attributes["messaging.batch.message_count"] == 2
    assert [context_of(headers) for headers in gateway.log.headers] == [send.context] * 2


def test_a_refused_request_is_no_error_of_the_gateways(gateway: Gateway) -> None:
    """Its span says 422, and nothing was written."""
    recorder = MemoryRecorder()
    with tracing.recording(recorder):
        gateway.send_event(level="LOUD")
    (request,) = recorder.spans
    assert (request.attributes["http.response.status_code"], request.error) == (422, None)
