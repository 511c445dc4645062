"""Ending: not ready at once, work to its end within bounds, and out of the process whatever hangs."""

import asyncio
import signal
import subprocess
import sys

import httpx
import pytest

from runtime import stopping
from runtime.health import status_app
from runtime.settings import load_settings

_HANGS = """
import asyncio, sys, time
from runtime import stopping

stopping.LIMIT_SECONDS = 0.2

async def main():
    stopping.when_told_to_stop(lambda: time.sleep(60))
    print("ready", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


async def _never() -> None:
    await asyncio.Event().wait()


async def test_work_that_ends_by_itself_is_waited_for() -> None:
    """It is told by its own event, and nothing is cancelled."""
    stop, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        await stop.wait()
        await asyncio.sleep(0)
        ended.set()

    running = asyncio.create_task(stopping.run_until_told(work(), stop))
    stop.set()
    await running
    assert ended.is_set()


async def test_work_that_hangs_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    """After its time, not before it was told."""
    monkeypatch.setattr(stopping, "DRAIN_SECONDS", 0.01)
    stop = asyncio.Event()
    running = asyncio.create_task(stopping.run_until_told(_never(), stop))
    await asyncio.sleep(0)
    assert not running.done()
    stop.set()
    await running


async def test_an_error_of_the_work_is_not_lost() -> None:
    """The process ends with it."""

    async def fail() -> None:
        raise ValueError("no such partition")

    with pytest.raises(ValueError, match="no such partition"):
        await stopping.run_until_told(fail(), asyncio.Event())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_loop_that_is_blocked_does_not_hold_the_process(number: signal.Signals) -> None:
    """It is left with exit code 0 and a line that says so."""
    process = subprocess.Popen([sys.executable, "-c", _HANGS], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(number)
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert b"left_at_the_limit" in output


async def test_a_process_that_was_told_to_stop_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though all that it depends on is there; it lives until it ends."""

    async def there() -> None:
        return None

    app = status_app(load_settings(_env_file=None), "a service", {"kafka": there})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://in-process") as client:
        assert (await client.get("/readyz")).status_code == 200
        monkeypatch.setattr(stopping._Process, "told", True)
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.json()["reasons"]) == (503, {"process": "it was told to stop"})
        assert (await client.get("/health")).status_code == 200
