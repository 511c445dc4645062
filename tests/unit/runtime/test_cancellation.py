"""A cancellation that somebody meant, and one that leaked out of a library."""

import asyncio

import pytest

from runtime.cancellation import is_asked_to_end


async def test_only_a_cancelled_task_is_asked_to_end() -> None:
    """Waiting for something that was cancelled is not being cancelled."""
    seen: list[bool] = []

    async def wait_for(waiter: asyncio.Future[None]) -> None:
        try:
            await waiter
        except asyncio.CancelledError:
            seen.append(is_asked_to_end())
            raise

    for leaked in (True, False):
        waiter = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(wait_for(waiter))
        await asyncio.sleep(0)
        (waiter if leaked else task).cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert seen == [False, True]
