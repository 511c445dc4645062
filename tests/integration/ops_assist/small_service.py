"""A service for tests of the supervisor: `small_service.py PORT BEHAVIOUR`, ready at once unless told otherwise.

Behaviours: plain; unready (says why); stubborn (does not hear SIGTERM). GET /crash ends it with exit code 3.
"""

import json
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

PORT, BEHAVIOUR = int(sys.argv[1]), sys.argv[2]


class Handler(BaseHTTPRequestHandler):
    """Readiness and an end on demand."""

    def do_GET(self) -> None:
        """Answer one request."""
        if self.path == "/crash":
            os._exit(3)
        body = {"reasons": {"broker": "still looking"}} if BEHAVIOUR == "unready" else {}
        self.send_response(503 if body else 200)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def _stop(*_: Any) -> None:
    sys.exit(0)


signal.signal(signal.SIGTERM, signal.SIG_IGN if BEHAVIOUR == "stubborn" else _stop)
sys.stdout.write('{"level": "info", "event": "started"}\n')
sys.stdout.flush()
HTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
