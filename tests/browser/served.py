"""Apps behind a real uvicorn, on a free port, for as long as a test needs them."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Literal

import uvicorn
from starlette.types import ASGIApp

_START_SECONDS: Final = 10.0
_STOP_SECONDS: Final = 10.0


@contextmanager
def served(app: ASGIApp, port: int = 0, *, lifespan: Literal["auto", "off"] = "auto") -> Iterator[int]:
    """Serve `app` in a thread of its own; gives the port, which is a free one where `port` is 0.

    With its `lifespan` off it connects to nothing.
    """
    with socket.create_server(("127.0.0.1", port), backlog=128) as listener:
        config = uvicorn.Config(app, log_config=None, access_log=False, lifespan=lifespan, timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        try:
            _wait_until_started(server, thread)
            yield int(listener.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join(_STOP_SECONDS)
            assert not thread.is_alive(), "the server did not stop"


def _wait_until_started(server: uvicorn.Server, thread: threading.Thread) -> None:
    pause, waited = threading.Event(), 0.0
    while not server.started:
        assert thread.is_alive(), "the server ended before it began"
        assert waited < _START_SECONDS, "the server did not begin"
        pause.wait(0.02)
        waited += 0.02
