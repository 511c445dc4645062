"""`python -m query_api.materializer`: fills the view; health and metrics on MATERIALIZER_PORT."""

import asyncio
import sys

import uvicorn

from query_api.materializer.consumer import Materializer
from runtime.health import server, status_app
from runtime.logging import configure_logging
from runtime.settings import Settings, SettingsError, load_settings
from runtime.stopping import when_told_to_stop
from runtime.tracing import close_tracing, configure_tracing


async def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT."""
    materializer = Materializer(settings)
    checks = {"kafka": materializer.kafka_check, "postgresql": materializer.database_check}
    health = server(status_app(settings, "Ops-Assist materializer", checks), settings, settings.materializer_port)
    _stop_on_signals(materializer, health)
    serving = asyncio.create_task(health.serve())
    try:
        await materializer.run()
    finally:
        health.should_exit = True
        await serving


def _stop_on_signals(materializer: Materializer, health: uvicorn.Server) -> None:
    def stop() -> None:
        materializer.stop()
        health.should_exit = True

    when_told_to_stop(stop)


def main() -> int:
    """0 after a clean stop, 1 with one line where the settings cannot be used."""
    try:
        settings = load_settings()
    except SettingsError as error:
        sys.stderr.write(f"query_api.materializer: {error}\n")
        return 1
    configure_logging(settings, "materializer")
    configure_tracing(settings, "materializer")
    try:
        asyncio.run(serve(settings))
    finally:
        close_tracing()
    return 0


if __name__ == "__main__":
    sys.exit(main())
