"""`python -m query_api`: serves the query API on HTTP_PORT."""

import asyncio
import signal
import sys

import uvloop

from query_api.app import create_app
from runtime.health import server
from runtime.logging import configure_logging
from runtime.settings import Settings, SettingsError, load_settings


async def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT."""
    http = server(create_app(settings), settings, settings.http_port)

    def stop() -> None:
        http.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    await http.serve()


def main() -> int:
    """0 after a clean stop, 1 with one line where the settings cannot be used."""
    try:
        settings = load_settings()
    except SettingsError as error:
        sys.stderr.write(f"query_api: {error}\n")
        return 1
    configure_logging(settings, "query-api")
    uvloop.run(serve(settings))
    return 0


if __name__ == "__main__":
    sys.exit(main())
