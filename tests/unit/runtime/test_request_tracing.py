"""Requests are traced by route, and their trace and X-Request-ID stand on what is logged."""

from typing import Any

import structlog
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from fastapi.testclient import TestClient

from runtime import tracing
from runtime.request_tracing import RequestTracing
from runtime.trace_context import TraceContext, current
from tests.support.span_recorder import MemoryRecorder

CONTEXT = TraceContext("a" * 32, "b" * 16, 1)
HEADERS = {"traceparent": f"00-{CONTEXT.trace_id}-{CONTEXT.span_id}-01"}


def _client(recorder: MemoryRecorder) -> TestClient:
    app = FastAPI(docs_url=None, redoc_url=None)
    app.add_middleware(RequestTracing, service="a_service")

    @app.get("/things/{thing_id}")
    async def thing(thing_id: str) -> dict[str, Any]:
        return {"thing": thing_id, "trace": current(), "bound": structlog.contextvars.get_contextvars()}

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("a secret")

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        return StreamingResponse(str(recorder.spans[-1].ended) for _ in range(1))

    return TestClient(app, raise_server_exceptions=False)


def test_a_span_is_named_by_the_template_of_its_route() -> None:
    """And belongs to the caller's trace; a path without a route is no name."""
    recorder = MemoryRecorder()
    with tracing.recording(recorder):
        client = _client(recorder)
        answer = client.get("/things/7", headers=HEADERS).json()
        client.get("/nothing/here")
    found, missing = recorder.spans
    assert (found.name, found.kind, found.parent) == ("GET /things/{thing_id}", "server", CONTEXT)
    assert found.attributes == {
        "http.request.method": "GET", "http.route": "/things/{thing_id}", "http.response.status_code": 200,
    }  # fmt: skip
    assert (missing.name, missing.attributes["http.response.status_code"]) == ("GET other", 404)
    assert found.context is not None
    assert answer["trace"][:2] == [CONTEXT.trace_id, found.context.span_id]


def test_a_fault_fails_its_span_without_its_text() -> None:
    """By the type of the error."""
    recorder = MemoryRecorder()
    with tracing.recording(recorder):
        assert _client(recorder).get("/broken").status_code == 500
    assert recorder.spans[0].error == "RuntimeError"


def test_a_span_ends_when_the_answer_begins() -> None:
    """A stream of changes has no end."""
    recorder = MemoryRecorder()
    with tracing.recording(recorder):
        assert _client(recorder).get("/stream").text == "1"


def test_a_request_id_is_bound_while_the_request_is_served() -> None:
    """As the client wrote it, unless it is none that a log line should hold."""
    client = _client(MemoryRecorder())
    named = client.get("/things/7", headers=HEADERS | {"X-Request-ID": "req-17"}).json()
    assert named["bound"]["request_id"] == "req-17"
    assert named["trace"][:2] == [CONTEXT.trace_id, CONTEXT.span_id]
    for odd in ("x" * 129, "tab\there"):
        assert "request_id" not in client.get("/things/7", headers={"X-Request-ID": odd}).json()["bound"]
