"""`python -m query_api.materializer`: fills the view; health and metrics on MATERIALIZER_PORT."""

import asyncio
import sys

from query_api.materializer.consumer import Materializer
from runtime.health import server, status_app
from runtime.logging import configure_logging
from runtime.settings import Settings, SettingsError, load_settings
from runtime.stopping import run_until_told, when_told_to_stop
from runtime.tracing import close_tracing, configure_tracing


async def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT."""
    materializer = Materializer(settings)
    checks = {"kafka": materializer.kafka_check, "postgresql": materializer.database_check}
    health = server(status_app(settings, "Ops-Assist materializer", checks), settings, settings.materializer_port)
    when_told_to_stop(materializer.stop)
    serving = asyncio.create_task(health.serve())
    try:
        await run_until_told(materializer.run(), materializer.stopping)
    finally:
        health.should_exit = True
        await serving


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
