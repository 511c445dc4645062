"""`python -m query_api`: serves the query API on HTTP_PORT."""

import sys

import uvloop

from query_api.app import create_app
from runtime.health import server
from runtime.logging import configure_logging
from runtime.settings import Settings, SettingsError, load_settings
from runtime.stopping import serve_until_told
from runtime.tracing import close_tracing, configure_tracing


async def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT."""
    await serve_until_told(server(create_app(settings), settings, settings.http_port))


def main() -> int:
    """0 after a clean stop, 1 with one line where the settings cannot be used."""
    try:
        settings = load_settings()
    except SettingsError as error:
        sys.stderr.write(f"query_api: {error}\n")
        return 1
    configure_logging(settings, "query-api")
    configure_tracing(settings, "query-api")
    try:
        uvloop.run(serve(settings))
    finally:
        close_tracing()
    return 0


if __name__ == "__main__":
    sys.exit(main())
