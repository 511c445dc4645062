"""`python -m analyzer_worker`: analyses incidents until SIGTERM or SIGINT; health on ANALYZER_PORT."""

import asyncio
import sys

import uvloop

from analyzer_worker.worker import Worker
from runtime.health import server, status_app
from runtime.logging import configure_logging
from runtime.settings import Settings, SettingsError, load_settings
from runtime.stopping import when_told_to_stop
from runtime.tracing import close_tracing, configure_tracing


async def main(settings: Settings) -> None:
    """Serve health and work until told to stop."""
    stop = asyncio.Event()
    when_told_to_stop(stop.set)
    worker = Worker(settings)
    health = server(status_app(settings, "Ops-Assist analyzer", worker.checks()), settings, settings.analyzer_port)
    serving = asyncio.create_task(health.serve())
    try:
        await worker.run(stop)
    finally:
        health.should_exit = True
        await serving


if __name__ == "__main__":
    try:
        loaded = load_settings()
        configure_logging(loaded, "analyzer_worker")
        configure_tracing(loaded, "analyzer_worker")
        try:
            uvloop.run(main(loaded))
        finally:
            close_tracing()
    except SettingsError as error:
        sys.exit(f"analyzer_worker: {error}")
