"""Lanes that carry batches side by side; a service's events stay in one lane, so they arrive in their order."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Final, Self
from zlib import crc32

from ops_assist.sending.outgoing import Outgoing

Deliver = Callable[[Sequence[Outgoing]], Awaitable[None]]
"""Hands a batch over and returns when its fate is known; raises where that cannot be brought about."""

MAX_BATCH_BYTES: Final = 4 * 1024 * 1024
_WAITING_BATCHES: Final = 2


class Lanes:
    """At most `count` * (waiting + 2) batches are in memory; `put` waits where a lane is full."""

    def __init__(self, deliver: Deliver, *, count: int, batch_size: int) -> None:
        self._deliver = deliver
        self._batch_size = batch_size
        self._open: list[list[Outgoing]] = [[] for _ in range(count)]
        self._open_bytes = [0] * count
        self._queues: list[asyncio.Queue[list[Outgoing] | None]] = [
            asyncio.Queue(_WAITING_BATCHES) for _ in range(count)
        ]
        self._workers: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._workers = [asyncio.create_task(self._work(queue)) for queue in self._queues]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)

    async def put(self, event: Outgoing) -> None:
        """Add an event to its service's lane; raises what a delivery raised."""
        lane = crc32(event.service.encode("utf-8", "surrogatepass")) % len(self._open)
        if self._open_bytes[lane] + len(event.value) > MAX_BATCH_BYTES:
            await self._close_batch(lane)
        self._open[lane].append(event)
        self._open_bytes[lane] += len(event.value) + 1
        if len(self._open[lane]) >= self._batch_size:
            await self._close_batch(lane)

    async def flush(self) -> None:
        """Send off every batch that has begun."""
        for lane in range(len(self._open)):
            await self._close_batch(lane)

    async def finish(self) -> None:
        """Send off everything and wait until its fate is known; raises what a delivery raised."""
        await self.flush()
        for queue in self._queues:
            await self._unless_failed(queue.put(None))
        await asyncio.gather(*self._workers)

    async def _close_batch(self, lane: int) -> None:
        if batch := self._open[lane]:
            self._open[lane], self._open_bytes[lane] = [], 0
            await self._unless_failed(self._queues[lane].put(batch))

    async def _unless_failed(self, step: Awaitable[None]) -> None:
        """Do one step; a lane that has failed would keep it waiting for ever."""
        task = asyncio.ensure_future(step)
        await asyncio.wait([task, *self._workers], return_when=asyncio.FIRST_COMPLETED)
        for worker in self._workers:
            if worker.done() and (failure := worker.exception()):
                task.cancel()
                raise failure
        await task

    async def _work(self, queue: asyncio.Queue[list[Outgoing] | None]) -> None:
        while (batch := await queue.get()) is not None:
            await self._deliver(batch)
