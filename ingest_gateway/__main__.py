"""`python -m ingest_gateway`: the gateway alone, on HOST:HTTP_PORT."""

import asyncio
import socket
import sys
from typing import Final

import uvloop

from ingest_gateway.app import create_app
from runtime.health import server
from runtime.logging import configure_logging
from runtime.settings import Settings, SettingsError, load_settings
from runtime.stopping import when_told_to_stop
from runtime.tracing import close_tracing, configure_tracing

_DRAIN_SECONDS: Final = 7
"""What requests under way get at the end: more than PUBLISH_TIMEOUT's default, and a clean stop within 10 s."""


def main() -> int:
    """Serve until SIGTERM or SIGINT; gives the exit status."""
    try:
        settings = load_settings()
    except SettingsError as error:
        sys.stderr.write(f"ingest_gateway: {error}\n")
        return 2
    configure_logging(settings, "ingest_gateway")
    configure_tracing(settings, "ingest_gateway")
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_serve(settings))
    finally:
        close_tracing()


async def _serve(settings: Settings) -> int:
    web = server(create_app(settings), settings, settings.http_port)
    web.config.timeout_graceful_shutdown = _DRAIN_SECONDS
    try:
        listener = _listen(settings)
    except OSError as error:
        where = f"{settings.host}:{settings.http_port}"
        sys.stderr.write(f"ingest_gateway: cannot listen on {where} ({error.strerror}); set HOST or HTTP_PORT\n")
        return 1
    when_told_to_stop(lambda: setattr(web, "should_exit", True))
    await web.serve([listener])
    return 0


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    return socket.create_server((settings.host, settings.http_port), family=family, backlog=2_048)


if __name__ == "__main__":
    sys.exit(main())
