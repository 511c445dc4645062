"""`python -m query_api.dashboard`: serve the dashboard on DASHBOARD_PORT until SIGTERM or SIGINT."""

import asyncio
import sys

from query_api.dashboard.app import create_app
from runtime.health import server
from runtime.logging import configure_logging
from runtime.settings import Settings, SettingsError, load_settings
from runtime.stopping import serve_until_told


async def serve(settings: Settings) -> None:
    """Serve until a signal says to stop."""
    await serve_until_told(server(create_app(settings), settings, settings.dashboard_port))


def main() -> int:
    """Run the dashboard; gives the exit code."""
    try:
        settings = load_settings()
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    configure_logging(settings, "dashboard")
    asyncio.run(serve(settings))
    return 0


if __name__ == "__main__":
    sys.exit(main())
