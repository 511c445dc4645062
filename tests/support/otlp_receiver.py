"""A collector for tests: takes OTLP over HTTP and keeps the spans; or, told to, refuses or hangs."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")


class SeenSpan(msgspec.Struct, frozen=True):
    """A span as it was exported; `service` is its resource's name, `scope` the service of ours that made it."""

    service: str
    scope: str
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    links: list[tuple[str, str]]
    attributes: dict[str, Any]
    is_error: bool


class Collector:
    """What came in."""

    def __init__(self) -> None:
        self.url = ""
        self.bodies: list[bytes] = []
        self.silence = threading.Event()
        """Answers wait for it."""
        self.silence.set()

    def spans(self, trace_id: str | None = None) -> list[SeenSpan]:
        """The spans of a trace, or all."""
        found = [span for body in self.bodies for span in _spans(body)]
        return [span for span in found if trace_id in (None, span.trace_id)]

    def find(self, scope: str, name: str, trace_id: str | None = None) -> list[SeenSpan]:
        """The spans of a service by their name."""
        return [span for span in self.spans(trace_id) if (span.scope, span.name) == (scope, name)]


@contextmanager
def collector() -> Iterator[Collector]:
    """A collector on a free port."""
    found = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Keep a request."""
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.silence.wait(60)
            if self.path == "/v1/traces":
                found.bodies.append(body)
            self.send_response(200 if self.path == "/v1/traces" else 404)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        found.silence.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _spans(body: bytes) -> Iterator[SeenSpan]:
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        service = _attributes(resource.resource.attributes)["service.name"]
        for scoped in resource.scope_spans:
            for span in scoped.spans:
                yield SeenSpan(
                    service,
                    scoped.scope.name,
                    span.name,
                    _KINDS[span.kind],
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    [(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
                    _attributes(span.attributes),
                    span.status.code == span.status.STATUS_CODE_ERROR,
                )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}
