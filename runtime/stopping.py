"""Ending a service when it is told to: no new work, what is under way to its end, and out within ten seconds.

The supervisors that ship kill after ten seconds or later. What a process that hangs leaves behind then is what a crash
leaves: nothing that was acknowledged, and nothing that a restart would not redo.
"""

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final

import structlog
import uvicorn

log = structlog.get_logger(__name__)

NOTICE_SECONDS: Final = 1.0
"""How long an HTTP service goes on taking requests after it says that it is not ready, so that nobody is refused."""

DRAIN_SECONDS: Final = 6
"""What requests or work under way get at the end: more than PUBLISH_TIMEOUT's default."""

LIMIT_SECONDS: Final = 9.0
"""After a signal the process ends, whatever it waits for."""


class _Process:
    """What is known of this process; a flag without a lock, since a signal may come amid anything."""

    told = False


def is_stopping() -> bool:
    """Whether the process was told to stop: then it is not ready for work."""
    return _Process.told


def when_told_to_stop(stop: Callable[[], object]) -> None:
    """Call `stop` on SIGTERM and SIGINT, and end the process if it has not ended by `LIMIT_SECONDS`.

    Needs a running loop, in the main thread. The time counts from the signal, also where the loop is busy by then.
    """
    loop, bell = asyncio.get_running_loop(), _start_limit()

    def told(*_: object) -> None:
        _Process.told = True
        os.write(bell, b"!")
        if not loop.is_closed():
            loop.call_soon_threadsafe(stop)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, told)


async def serve_until_told(http: uvicorn.Server) -> None:
    """Serve until SIGTERM or SIGINT; requests under way are finished first, as far as `DRAIN_SECONDS` go."""
    http.config.timeout_graceful_shutdown = DRAIN_SECONDS
    end_after_notice(http)
    await http.serve()


def end_after_notice(http: uvicorn.Server) -> None:
    """On SIGTERM or SIGINT let the server go on for `NOTICE_SECONDS`, no longer ready, and end then."""

    def end() -> None:
        http.should_exit = True

    when_told_to_stop(lambda: asyncio.get_running_loop().call_later(NOTICE_SECONDS, end))


async def run_until_told(work: Coroutine[Any, Any, None], stop: asyncio.Event) -> None:
    """Run `work`, which ends by itself once `stop` is set; after `DRAIN_SECONDS` it is cancelled."""
    working = asyncio.create_task(work)
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    await asyncio.wait({working}, timeout=DRAIN_SECONDS)
    if not working.done():
        log.warning("stop_cut_short", seconds=DRAIN_SECONDS)
        working.cancel()
        await asyncio.wait({working})
    if not working.cancelled():
        working.result()


def _start_limit() -> int:
    """A thread that ends the process `LIMIT_SECONDS` after a byte is written to the file descriptor that this gives.

    A thread, since a loop that is blocked must not hold the process; there before the signal, since a handler that is
    called amid anything can take no lock.
    """
    waiting, bell = os.pipe()
    threading.Thread(target=_leave, args=(waiting,), name="limit", daemon=True).start()
    return bell


def _leave(waiting: int) -> None:
    os.read(waiting, 1)
    time.sleep(LIMIT_SECONDS)
    log.warning("left_at_the_limit", seconds=LIMIT_SECONDS)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
