"""The client for asyncio: `send` waits for room in the queue, `try_send` never waits, and nothing blocks the loop."""

import asyncio
import socket
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from random import random
from types import TracebackType
from typing import Self, TypedDict, Unpack

from ops_assist.client.delivery import Delivery, Dropped, News, Send
from ops_assist.client.limits import Limits
from ops_assist.client.news import dropped_event, tell, tell_undelivered
from ops_assist.client.outbox import Item
from ops_assist.client.shape import known_level, make_item, service_name
from ops_assist.client.stats import Stats
from ops_assist.client.transport import Transport
from schemas.timestamps import to_micros


class Details(TypedDict, total=False):
    """What an event may have beside its level and message.

    Args:
        service: default: the client's.
        timestamp: when it happened, with its offset; default: now.
        trace_id: of the trace that it belongs to.
        span_id: of the span that it belongs to.
        attributes: anything else; mappings within are flattened.
    """

    service: str
    timestamp: datetime
    trace_id: str
    span_id: str
    attributes: Mapping[str, object]


class AsyncClient:
    """Use it as `async with AsyncClient("checkout") as client`, in one event loop.

    Args:
        service: the service of events that name no other.
        url: the gateway's address.
        environment: as `production`; goes with each event.
        host: default: this machine's name.
        headers: sent with every request, as credentials for a proxy.
        limits: how much is held and how it is sent.
        timeout: seconds that one request may wait for data.
        exit_timeout: seconds that the end of the `async with` block waits for what is queued.

    Raises:
        ValueError: an argument that cannot be used.
    """

    def __init__(
        self,
        service: str,
        url: str = "http://localhost:8000",
        *,
        environment: str | None = None,
        host: str | None = None,
        headers: Mapping[str, str] | None = None,
        limits: Limits | None = None,
        timeout: float = 10.0,
        exit_timeout: float = 5.0,
    ) -> None:
        self._service = service_name(service)
        self._host, self._environment = host or socket.gethostname(), environment
        self._exit_timeout = exit_timeout
        self._transport = Transport(url, headers, timeout)
        self._delivery = Delivery(limits or Limits())
        self._queued, self._settled = asyncio.Event(), asyncio.Event()
        self._turn = asyncio.Lock()
        self._worker: asyncio.Task[None] | None = None
        # One thread for the one request that is under way: the loop's own threads stay with the application.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ops-assist-client")

    async def __aenter__(self) -> Self:
        if self._worker is not None:
            raise RuntimeError("this client was entered before; make another one")
        self._worker = asyncio.create_task(self._work())
        self._worker.add_done_callback(lambda _: self._settled.set())  # nobody waits for what will not come
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if not await self.flush(self._exit_timeout):
                tell_undelivered(self.stats.held, self._exit_timeout)
        finally:
            await self._end()

    async def _end(self) -> None:
        worker = self._entered()
        worker.cancel()
        self._transport.abort()
        with suppress(asyncio.CancelledError):
            await worker
        self._thread.submit(self._transport.close)
        self._thread.shutdown(wait=False)

    @property
    def stats(self) -> Stats:
        """What became of the events."""
        return self._delivery.stats

    async def send(self, level: str, message: str, **details: Unpack[Details]) -> str:
        """Queue an event, once there is room; gives its id. It is not yet sent then: see `flush`.

        Args:
            level: DEBUG to FATAL, or an alias such as WARN.
            message: what happened.
            details: see `Details`.

        Raises:
            ValueError: an unknown level, a service that the gateway does not take, a time without offset.
            RuntimeError: outside the `async with` block.
        """
        item = self._item(level, message, details)
        async with self._turn:  # those who wait are served in their order
            while not self._delivery.fits(item):
                await self._until_settled()
            self._offer(item)
        return item.id

    def try_send(self, level: str, message: str, **details: Unpack[Details]) -> str | None:
        """The same without waiting; None where a full queue dropped the event.

        One of level ERROR or above takes the place of the oldest below.
        """
        item = self._item(level, message, details)
        return item.id if self._offer(item) else None

    async def flush(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109 - it gives False, and raises nothing
        """Wait until the fate of all that is queued now is known; False where `timeout` seconds passed before."""
        self._entered()
        mark = self._delivery.mark
        self._delivery.hurry(time.monotonic())
        self._queued.set()
        try:
            async with asyncio.timeout(timeout):
                while not self._delivery.has_passed(mark):
                    await self._until_settled()
        except TimeoutError:
            return False
        return True

    async def _until_settled(self) -> None:
        self._settled.clear()
        await self._settled.wait()
        self._entered()

    def _item(self, level: str, message: str, details: Details) -> Item:
        self._entered()
        service, moment = details.get("service"), details.get("timestamp")
        return make_item(
            self._service if service is None else service_name(service),
            known_level(level),
            message,
            micros=None if moment is None else _micros(moment),
            attributes=details.get("attributes"),
            trace_id=details.get("trace_id"),
            span_id=details.get("span_id"),
            host=self._host,
            environment=self._environment,
        )

    def _entered(self) -> asyncio.Task[None]:
        if self._worker is None or self._worker.done():
            raise RuntimeError("use the client within its block: async with AsyncClient(...) as client")
        return self._worker

    def _offer(self, item: Item) -> bool:
        queued = self._delivery.offer(item, time.monotonic())
        self._queued.set()
        return queued

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._queued.clear()
            step = self._delivery.step(time.monotonic())
            if not isinstance(step, Send):
                await self._rest(step.until)
                continue
            answer = await loop.run_in_executor(self._thread, self._transport.post, step.items)
            self._hear(self._delivery.answered(answer, time.monotonic(), random()))  # noqa: S311 - it spreads retries
            self._settled.set()

    async def _rest(self, until: float | None) -> None:
        """Wait for the moment, or for something new, of which a batch or a flush may be due at once."""
        with suppress(TimeoutError):
            async with asyncio.timeout(None if until is None else max(0.0, until - time.monotonic())):
                await self._queued.wait()

    def _hear(self, news: list[News]) -> None:
        for item in news:
            if isinstance(item, Dropped):
                self._delivery.offer(
                    dropped_event(item, self._service, self._host, self._environment), time.monotonic()
                )
            tell(item)


def _micros(moment: datetime) -> int:
    if moment.tzinfo is None:
        raise ValueError(f"timestamp must have an offset, as datetime.now(UTC) has; {moment} has none")
    return to_micros(moment)
