"""Waiting that can be cut short."""

import asyncio


async def pause(until: asyncio.Event, seconds: float) -> bool:
    """Wait for an event, at most `seconds`; gives whether it came."""
    try:
        async with asyncio.timeout(seconds):
            return await until.wait()
    except TimeoutError:
        return False
