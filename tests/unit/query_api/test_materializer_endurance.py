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
