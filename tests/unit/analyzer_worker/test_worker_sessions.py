"""The worker ends when it is told to, and for nothing else."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError

from analyzer_worker import worker as module
from analyzer_worker.worker import Worker
from runtime.settings import load_settings


@pytest.mark.parametrize("trouble", [asyncio.CancelledError(), KafkaConnectionError()], ids=repr)
async def test_a_session_that_breaks_is_followed_by_another(
    trouble: BaseException, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Also where aiokafka cancels who waits for a broken connection: that once ended the process, with exit code 0."""
    ends: list[BaseException] = [trouble, trouble]
    again = asyncio.Event()

    class BreakingSession:
        is_started = False

        def __init__(self, *_: Any) -> None:
            """Take what a session takes."""

        async def run(self) -> None:
            """Break, twice."""
            if ends:
                raise ends.pop()
            again.set()
            await asyncio.Event().wait()

    monkeypatch.setattr(module, "Session", BreakingSession)
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.0)
    stop = asyncio.Event()
    settings = load_settings(_env_file=None, kafka_bootstrap_servers="127.0.0.1:1", state_dir=tmp_path)
    running = asyncio.create_task(Worker(settings).run(stop))

    await asyncio.wait_for(again.wait(), 10)
    assert not running.done()
    stop.set()
    await asyncio.wait_for(running, 10)
