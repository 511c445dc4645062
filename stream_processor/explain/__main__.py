"""`python -m stream_processor.explain`: serves the explain route on HTTP_PORT, beside a query API at API_URL."""

import asyncio
import signal
import sys

from runtime.health import server
from runtime.logging import configure_logging
from runtime.settings import Settings, SettingsError, load_settings
from stream_processor.explain.app import create_app


async def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT."""
    http = server(create_app(settings), settings, settings.http_port)

    def stop() -> None:
        http.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    await http.serve()


if __name__ == "__main__":
    try:
        loaded = load_settings()
    except SettingsError as fault:
        sys.exit(f"stream_processor.explain: {fault}")
    configure_logging(loaded, "explain")
    asyncio.run(serve(loaded))
