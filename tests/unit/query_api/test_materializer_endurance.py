"""The materializer's loop ends when it is told to, and for nothing else."""

import asyncio
from pathlib import Path

import pytest
from aiokafka.errors import KafkaConnectionError

from query_api.materializer import consumer
from query_api.materializer.consumer import Materializer
from runtime.settings import load_settings


@pytest.mark.parametrize("trouble", [asyncio.CancelledError(), KafkaConnectionError()], ids=repr)
async def test_a_broken_connection_is_followed_by_another(
    trouble: BaseException, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Also where aiokafka cancels who waits for it."""
    settings = load_settings(_env_file=None, database_url="postgresql://nobody@127.0.0.1:1/none", state_dir=tmp_path)
    materializer = Materializer(settings)
    ends: list[BaseException] = [trouble, trouble]

    async def consume() -> None:
        if ends:
            raise ends.pop()
        materializer.stop()

    monkeypatch.setattr(materializer, "_consume", consume)
    monkeypatch.setattr(consumer, "_FIRST_DELAY", 0.0)

    await asyncio.wait_for(materializer.run(), 10)

    assert not ends


class _NeverAssigned:
    """A consumer whose group does not settle: its start waits for an assignment for ever."""

    def __init__(self) -> None:
        self.is_starting = asyncio.Event()
        self.is_stopped = False

    def subscribe(self, topics: list[str], listener: object) -> None:
        """Take any subscription."""

    async def start(self) -> None:
        """Wait for ever."""
        self.is_starting.set()
        await asyncio.Event().wait()

    async def stop(self) -> None:
        """Note that it was stopped."""
        self.is_stopped = True


async def test_it_stops_while_it_waits_for_an_assignment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A join takes as long as others of the group let it; the stop does not wait for them."""
    settings = load_settings(_env_file=None, database_url="postgresql://nobody@127.0.0.1:1/none", state_dir=tmp_path)
    client = _NeverAssigned()
    monkeypatch.setattr(consumer, "make_consumer", lambda *_, **__: client)
    materializer = Materializer(settings)
    running = asyncio.create_task(materializer.run())
    await client.is_starting.wait()

    materializer.stop()

    await asyncio.wait_for(running, 10)
    assert client.is_stopped
