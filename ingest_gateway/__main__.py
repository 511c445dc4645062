"""`python -m ingest_gateway`: the gateway alone, on HOST:HTTP_PORT."""

import asyncio
import socket
import sys

import uvloop

from ingest_gateway.app import create_app
from runtime.health import server
from runtime.logging import configure_logging
from runtime.settings import Settings, SettingsError, load_settings
from runtime.stopping import DRAIN_SECONDS, end_after_notice
from runtime.tracing import close_tracing, configure_tracing


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
    web.config.timeout_graceful_shutdown = DRAIN_SECONDS
    try:
        listener = _listen(settings)
    except OSError as error:
        where = f"{settings.host}:{settings.http_port}"
        sys.stderr.write(f"ingest_gateway: cannot listen on {where} ({error.strerror}); set HOST or HTTP_PORT\n")
        return 1
    end_after_notice(web)
    await web.serve([listener])
    return 0


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    return socket.create_server((settings.host, settings.http_port), family=family, backlog=2_048)


if __name__ == "__main__":
    sys.exit(main())
