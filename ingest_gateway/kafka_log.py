"""The event log on Kafka: stays connected by itself, never waits without end and says truly what became of records."""

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog
from aiokafka.errors import KafkaError

from ingest_gateway.connection import Connection
from ingest_gateway.event_log import NotWritten, OutcomeUnknown, Record
from ingest_gateway.lane import Delivery, Outcome
from runtime.kafka import TopicsUnsuitable
from runtime.settings import Settings

log = structlog.get_logger(__name__)

_FIRST_BACKOFF: Final = 0.2
_LONGEST_BACKOFF: Final = 2.0
_STOP_GRACE: Final = 1.0


class KafkaEventLog:
    """See `EventLog`. One producer at a time; it is replaced when a batch failed in a way that it cannot mend.

    A broker that goes away and comes back needs no replacement: aiokafka sends the batch under way again, with the same
    sequence numbers where idempotence is on. Meanwhile records of that partition are refused at once.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._timeout = settings.publish_timeout
        self._connection: Connection | None = None
        self._outage: str | None = None
        self._silent = False
        self._settled = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begin to connect, in the background."""
        self._keeper = asyncio.create_task(self._keep_connected())

    async def stop(self) -> None:
        """Give what is under way a second to finish, then close every connection."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        connection, self._connection = self._connection, None
        self._outage = "the gateway is stopping"
        if connection is not None:
            await connection.close(_STOP_GRACE)
        if self._closing:
            _, late = await asyncio.wait(self._closing, timeout=_STOP_GRACE)
            for task in late:
                task.cancel()

    async def publish(self, records: Sequence[Record]) -> None:
        """Write the records and wait for their acknowledgements, at most PUBLISH_TIMEOUT seconds; see `EventLog`."""
        connection = self._connection or await self._connected()
        stuck = max(connection.waiting_for(record.service) for record in records) if records else 0.0
        if stuck > self._timeout:
            raise NotWritten(f"the broker has not acknowledged anything for {stuck:.0f} s")
        deliveries = [connection.put(record) for record in records]
        await self._wait(deliveries)
        self._judge(deliveries)

    @property
    def partition_count(self) -> int | None:
        """See `EventLog`."""
        return None if self._connection is None else self._connection.partitions

    async def check(self) -> str | None:
        """Ask the cluster; a sentence where it does not answer or does not acknowledge."""
        connection = self._connection
        if connection is None:
            return self._outage or "not connected to the broker yet"
        if connection.longest_wait() > self._timeout:
            return f"the broker has not acknowledged anything for {connection.longest_wait():.0f} s"
        try:
            await connection.probe()
        except KafkaError as error:
            return _describe(error)
        return None

    async def _connected(self) -> Connection:
        if not self._outage:
            try:
                await asyncio.wait_for(self._settled.wait(), self._timeout)
            except TimeoutError:
                raise NotWritten("the broker cannot be reached yet") from None
        if self._connection is None:
            raise NotWritten(self._outage or "the broker cannot be reached")
        return self._connection

    async def _wait(self, deliveries: Sequence[Delivery]) -> None:
        if not deliveries:
            return
        _, pending = await asyncio.wait([delivery.outcome for delivery in deliveries], timeout=self._timeout)
        for outcome in pending:
            outcome.cancel()

    def _judge(self, deliveries: Sequence[Delivery]) -> None:
        outcomes = [_outcome(delivery) for delivery in deliveries]
        self._tell_change(silent=Outcome.WRITTEN not in outcomes and bool(outcomes))
        if all(outcome is Outcome.WRITTEN for outcome in outcomes):
            return
        reason = f"the broker did not acknowledge within {self._timeout:g} s"
        if all(outcome is Outcome.NOT_WRITTEN for outcome in outcomes):
            raise NotWritten(reason)
        raise OutcomeUnknown(reason)

    def _tell_change(self, *, silent: bool) -> None:
        """Log the beginning and the end of a silence, not each request of it."""
        if silent == self._silent:
            return
        self._silent = silent
        if silent:
            log.warning("broker_silent", seconds=self._timeout)
        else:
            log.info("broker_acknowledges_again")

    async def _keep_connected(self) -> None:
        while True:
            connection = await self._connect()
            self._connection, self._outage = connection, None
            self._settled.set()
            log.info("broker_connected")
            reason = await connection.broken
            log.warning("producer_replaced", reason=reason)
            self._connection = None
            self._settled.clear()
            task = asyncio.create_task(connection.close(self._timeout))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def _connect(self) -> Connection:
        backoff = _FIRST_BACKOFF
        while True:
            try:
                return await Connection.open(self._settings, self._timeout)
            except (KafkaError, OSError, TimeoutError, TopicsUnsuitable) as error:
                outage = _describe(error)
            if outage != self._outage:
                log.warning("broker_unreachable", reason=outage)
            self._outage = outage
            self._settled.set()
            await asyncio.sleep(backoff)
            backoff = min(2 * backoff, _LONGEST_BACKOFF)


def _outcome(delivery: Delivery) -> Outcome:
    if delivery.outcome.cancelled():
        return Outcome.UNKNOWN if delivery.handed_over else Outcome.NOT_WRITTEN
    return delivery.outcome.result()


def _describe(error: Exception) -> str:
    if isinstance(error, TopicsUnsuitable):
        return str(error)
    if isinstance(error, TimeoutError):
        return "the broker cannot be reached: no answer in time"
    return f"the broker cannot be reached: {type(error).__name__}: {error}"
