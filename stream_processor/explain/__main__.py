"""`python -m stream_processor.explain`: serves the explain route on HTTP_PORT, beside a query API at API_URL."""

import asyncio
import sys

from runtime.health import server
from runtime.logging import configure_logging
from runtime.settings import Settings, SettingsError, load_settings
from runtime.stopping import serve_until_told
from stream_processor.explain.app import create_app


async def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT."""
    await serve_until_told(server(create_app(settings), settings, settings.http_port))


if __name__ == "__main__":
    try:
        loaded = load_settings()
    except SettingsError as fault:
        sys.exit(f"stream_processor.explain: {fault}")
    configure_logging(loaded, "explain")
    asyncio.run(serve(loaded))
