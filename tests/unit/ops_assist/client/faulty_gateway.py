"""The real gateway in memory, behind a server on real sockets that refuses, hangs or hangs up where a test says so."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from tests.unit.ingest_gateway.gateway_client import Gateway, running_gateway


class Request(NamedTuple):
    """A request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes


class Fault(NamedTuple):
    """What happens to one request: `status` 0 hangs up; `taken`: only after the gateway has written its events."""

    status: int = 0
    taken: bool = False
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    before_reading: bool = False


class FaultyGateway:
    """`faults` are spent one a request; `silence` cleared: requests wait for it, unanswered."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._taking = threading.Lock()
        self._ended = False
        self.url = ""
        self.faults: deque[Fault] = deque()
        self.requests: list[Request] = []
        self.silence = threading.Event()
        self.silence.set()
        self.hangs_up_after_answering = False

    @property
    def written(self) -> list[dict[str, Any]]:
        """Every event in the log, repeats included."""
        return self._gateway.written

    @property
    def messages(self) -> list[str]:
        """Their messages."""
        return [event["message"] for event in self.written]

    def take(self, request: Request) -> tuple[int, tuple[tuple[str, str], ...], bytes]:
        """The gateway's own answer."""
        encoding = request.headers.get("content-encoding")
        headers = {"content_encoding": encoding} if encoding else {}
        with self._taking:
            if self._ended:  # a request whose client was cut off may come by when the gateway is gone
                return 503, (), b""
            answer = self._gateway.send(
                request.body, to="/batch", media_type=request.headers["content-type"], **headers
            )  # fmt: skip
        return answer.status_code, (), answer.content

    def end(self) -> None:
        """Take nothing more; returns when nothing is being taken."""
        with self._taking:
            self._ended = True
        self.silence.set()


@contextmanager
def faulty_gateway() -> Iterator[FaultyGateway]:
    """One on a free port."""
    with running_gateway() as gateway:
        found = FaultyGateway(gateway)
        server = _Server(found)
        found.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield found
        finally:
            found.end()
            server.shutdown()
            server.server_close()
            thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that hung up: tests have them do so."""

    def __init__(self, gateway: FaultyGateway) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.gateway = gateway


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        """Spend a fault, or let the gateway answer."""
        gateway = self.server.gateway
        fault = gateway.faults.popleft() if gateway.faults else None
        if fault is not None and fault.before_reading:
            self._answer(fault.status, fault.headers, fault.body)
            self.close_connection = True
            return
        request = self._read()
        gateway.requests.append(request)
        gateway.silence.wait(60)
        if fault is not None and fault.taken:
            gateway.take(request)
        if fault is not None and not fault.status:
            self.close_connection = True
            return
        self._answer(*(gateway.take(request) if fault is None else (fault.status, fault.headers, fault.body)))
        self.close_connection = gateway.hangs_up_after_answering

    def _read(self) -> Request:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        return Request(self.path, {name.lower(): value for name, value in self.headers.items()}, body)

    def _answer(self, status: int, headers: tuple[tuple[str, str], ...], body: bytes) -> None:
        self.send_response(status)
        for name, value in (*headers, ("Content-Length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""
