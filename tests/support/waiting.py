"""Waiting for conditions, with a deadline, never for time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

DEADLINE_SECONDS: Final = 20.0
_POLL_SECONDS: Final = 0.02

T = TypeVar("T")


def wait_until(condition: Callable[[], T], *, timeout: float = DEADLINE_SECONDS, what: str = "the condition") -> T:
    """The first true value of `condition`; fails the test when it does not come within `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {timeout:g} s; last value: {value!r}")
        time.sleep(_POLL_SECONDS)
    return value


async def eventually(
    condition: Callable[[], Awaitable[T]],
    *,
    timeout: float = DEADLINE_SECONDS,  # noqa: ASYNC109 - it bounds many calls of the condition, not one await
    what: str = "the condition",
) -> T:
    """The first true value of an asynchronous `condition`; fails the test after `timeout` seconds."""
    async with asyncio.timeout(timeout + DEADLINE_SECONDS):
        deadline = time.monotonic() + timeout
        while not (value := await condition()):
            if time.monotonic() > deadline:
                raise AssertionError(f"{what} did not come true within {timeout:g} s; last value: {value!r}")
            await asyncio.sleep(_POLL_SECONDS)
        return value
