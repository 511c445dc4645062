"""The watch over the lag goes on whatever Kafka's client does, and ends when it is told to."""

import asyncio

import pytest

from runtime.lag import watch
from runtime.settings import Settings, load_settings


async def test_a_cancellation_that_leaks_out_of_the_client_is_an_answer_that_did_not_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Aiokafka's consumer raises one where it is stopped before it began to read, and the watch would end."""

    async def leaking(_: Settings) -> None:
        raise asyncio.CancelledError

    monkeypatch.setattr(watch, "read_lags", leaking)
    view = await watch.LagWatch(load_settings(_env_file=None, kafka_bootstrap_servers="kafka:1")).look()

    assert view.unavailable == "Kafka at kafka:1 did not tell the offsets (CancelledError)"


async def test_it_ends_when_it_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the middle of a look."""
    looking = asyncio.Event()

    async def endless(_: Settings) -> None:
        looking.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(watch, "read_lags", endless)
    task = asyncio.create_task(watch.LagWatch(load_settings(_env_file=None)).run())
    await looking.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
