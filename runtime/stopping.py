"""Ending a service when it is told to."""

import asyncio
import signal
from collections.abc import Callable

import uvicorn


def when_told_to_stop(stop: Callable[[], object]) -> None:
    """Call `stop` on SIGTERM and SIGINT; needs a running loop."""
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)


async def serve_until_told(http: uvicorn.Server) -> None:
    """Serve until SIGTERM or SIGINT; requests under way are finished first."""
    when_told_to_stop(lambda: setattr(http, "should_exit", True))
    await http.serve()
