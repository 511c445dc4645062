"""One partition's way to the broker: one batch under way at a time, the records behind it in order.

aiokafka would queue records itself, but what it has queued it may write at any later time. Here a record that was not
handed over can be taken back, so that the gateway can say for sure that it was not written.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from enum import Enum, auto
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from runtime.trace_context import context_of, forget, under
from schemas.topics import EVENTS

log = structlog.get_logger(__name__)

Headers = Sequence[tuple[str, bytes]]


class Outcome(Enum):
    """What is known of a record: it is in the log, it is not and will not be, or neither can be said."""

    WRITTEN = auto()
    NOT_WRITTEN = auto()
    UNKNOWN = auto()


class Delivery:
    """A record under way; `outcome` is cancelled by whoever no longer waits for it."""

    __slots__ = ("handed_over", "headers", "key", "outcome", "value")

    def __init__(self, key: bytes, value: bytes, headers: Headers = ()) -> None:
        self.key, self.value, self.headers = key, value, headers
        self.handed_over = False
        self.outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    def settle(self, outcome: Outcome) -> None:
        """Tell whoever still waits."""
        if not self.outcome.done():
            self.outcome.set_result(outcome)


class Lane:
    """The records of one partition of `ops.events`.

    Args:
        producer: a started producer, which the lane does not own.
        partition: the partition.
        broken: called with the reason when a batch failed, after which the producer can no longer be trusted: with
            idempotence on, the sequence numbers of the partition have a gap from then on.
    """

    def __init__(self, producer: AIOKafkaProducer, partition: int, broken: Callable[[str], None]) -> None:
        self._producer, self._partition, self._broken = producer, partition, broken
        self._queue: deque[Delivery] = deque()
        self._under_way: list[Delivery] = []
        self._since = 0.0
        self.task: asyncio.Task[None] | None = None

    def put(self, key: bytes, value: bytes, headers: Headers = ()) -> Delivery:
        """Queue a record and see to it that it is sent."""
        delivery = Delivery(key, value, headers)
        self._queue.append(delivery)
        if self.task is None or self.task.done():
            self.task = asyncio.create_task(self._drain())
        return delivery

    def waiting_for(self) -> float:
        """Seconds since the batch under way was handed over; 0 where there is none."""
        return asyncio.get_running_loop().time() - self._since if self._under_way else 0.0

    def give_up(self) -> None:
        """Settle everything as far as is known, and send no more."""
        for delivery in self._under_way:
            delivery.settle(Outcome.UNKNOWN)
        for delivery in self._queue:
            delivery.settle(Outcome.NOT_WRITTEN)
        self._under_way.clear()
        self._queue.clear()

    async def _drain(self) -> None:
        forget()
        try:
            while self._queue:
                batch = self._next_batch()
                if self._under_way:
                    await self._send(batch)
        except (KafkaError, AssertionError) as error:  # aiokafka asserts that the partition is there
            self._broken(f"{type(error).__name__}: {error}")
        finally:
            self.give_up()

    def _next_batch(self) -> Any:
        batch = self._producer.create_batch()
        while self._queue:
            delivery = self._queue[0]
            if delivery.outcome.done():  # nobody waits for it any more: take it back
                self._queue.popleft()
                continue
            if (
                batch.append(key=delivery.key, value=delivery.value, timestamp=None, headers=list(delivery.headers))
                is None
            ):
                break
            self._under_way.append(self._queue.popleft())
        batch.close()
        return batch

    async def _send(self, batch: Any) -> None:
        self._since = asyncio.get_running_loop().time()
        for delivery in self._under_way:
            delivery.handed_over = True
        acknowledged = await self._producer.send_batch(batch, EVENTS, partition=self._partition)
        written = await acknowledged
        for delivery in self._under_way:
            delivery.settle(Outcome.WRITTEN)
        if logging.getLogger(__name__).isEnabledFor(logging.DEBUG):
            self._tell(written.offset)
        self._under_way.clear()

    def _tell(self, first: int) -> None:
        """Log where each record of a batch lies; `first`: the offset of the first."""
        for offset, delivery in enumerate(self._under_way, first):
            with under(context_of(delivery.headers)):
                log.debug("record_written", topic=EVENTS, partition=self._partition, offset=offset)
