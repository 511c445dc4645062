"""Which trace and which request HTTP requests belong to, for spans, logs and what they write to Kafka."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Final

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runtime import tracing
from runtime.request_timing import METHODS, OTHER
from runtime.trace_context import http_context

_REQUEST_ID: Final = b"x-request-id"
_ORIGIN: Final = frozenset({_REQUEST_ID, b"traceparent"})
_MAX_REQUEST_ID: Final = 128
_SERVER_ERROR: Final = 500

Headers = Iterable[tuple[bytes, bytes]]


def is_traced(headers: Headers) -> bool:
    """Whether there is anything to do about the trace or the id of a request: of most there is not."""
    if tracing.is_on():
        return True
    for name, _ in headers:  # noqa: SIM110 - quicker than any(), and every request comes by here
        if name in _ORIGIN:
            return True
    return False


@contextmanager
def request_span(service: str, method: str, route: str, headers: Headers) -> Iterator[tracing.Span]:
    """A span over the answering of a request, whose trace and X-Request-ID stand on what is logged in the block."""
    request_id = _request_id(headers)
    named = structlog.contextvars.bound_contextvars(request_id=request_id) if request_id else nullcontext()
    attributes = {"http.request.method": method, "http.route": route}
    parent = http_context(headers)
    with named, tracing.span(service, f"{method} {route}", "server", parent=parent, attributes=attributes) as span:
        yield span


def answered(span: tracing.Span, status: int) -> None:
    """Note the status of an answer; only the fault of a server is an error of its span."""
    span.set("http.response.status_code", status)
    if status >= _SERVER_ERROR:
        span.fail(str(status))


class RequestTracing:
    """Traces each request of `app` until its answer begins: a stream of changes has no end."""

    def __init__(self, app: ASGIApp, service: str) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http" or not is_traced(scope["headers"]):
            await self._app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in METHODS else OTHER
        with request_span(self._service, method, OTHER, scope["headers"]) as span:

            async def observed_send(message: Message) -> None:
                if message["type"] == "http.response.start":
                    _name(span, method, scope)
                    answered(span, message["status"])
                    span.end()
                await send(message)

            await self._app(scope, receive, observed_send)


def _name(span: tracing.Span, method: str, scope: Scope) -> None:
    """By the template of its path, which the router knows by now."""
    route = getattr(scope.get("route"), "path", OTHER)
    span.rename(f"{method} {route}")
    span.set("http.route", route)


def _request_id(headers: Headers) -> str:
    """As the client calls its request, where that is a short printable text."""
    for name, value in headers:
        if name == _REQUEST_ID:
            text = value.decode("latin-1").strip()
            return text if len(text) <= _MAX_REQUEST_ID and text.isascii() and text.isprintable() else ""
    return ""
