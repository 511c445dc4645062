"""A local stand-in for the query API as the analyzer asks it: what it answers is set, what it was asked is kept."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class ViewServer:
    """The running server; `neighbours` and `past` are what it lists."""

    def __init__(self) -> None:
        self.neighbours: list[dict[str, Any]] = []
        self.past: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.http.daemon_threads = True

    @property
    def url(self) -> str:
        """What API_URL is set to."""
        return f"http://127.0.0.1:{self.http.server_address[1]}"


@contextmanager
def running_view() -> Iterator[ViewServer]:
    """A server for the time of a with block."""
    server = ViewServer()
    thread = threading.Thread(target=server.http.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.http.shutdown()
        server.http.server_close()
        thread.join()


def _handler(server: ViewServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(server.neighbours)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self._answer({"method": "vector", "similar": server.past})

        def _answer(self, content: object) -> None:
            server.asked.append(self.path)
            body = json.dumps(content).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that http.server gives
            """Say nothing."""

    return Handler
