"""Telling a wish to stop from a cancellation that leaked out of a library."""

import asyncio


def is_asked_to_end() -> bool:
    """Whether somebody has cancelled the current task.

    aiokafka cancels those who wait for a connection when it breaks: they see a `CancelledError` that nobody meant.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
