"""The loop: Kafka assigns partitions, PostgreSQL knows how far each was read, batches go from one to the other."""

import asyncio
import time
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError

from query_api.database import DRIVER_ERRORS, DatabaseAway, is_away
from query_api.materializer.batch import TOPICS, Batch, Source, make_batch
from query_api.materializer.rows import Record
from query_api.materializer.store import Outrun, Store
from query_api.materializer.traces import committing
from query_api.pause import pause
from runtime.cancellation import is_asked_to_end
from runtime.kafka import make_consumer
from runtime.logging import about
from runtime.metrics import RECORDS_UNREADABLE
from runtime.settings import Settings
from runtime.trace_context import context_of, under
from schemas.topics import EVENTS, MAX_RECORD_BYTES

log = structlog.get_logger(__name__)

GROUP: Final = "ops-materializer"

_POLL_MS: Final = 200
_MAX_RECORDS: Final = 2_000
_BOOTSTRAP_SECONDS: Final = 1.0
_COMMIT_SECONDS: Final = 1.0
_UPKEEP_SECONDS: Final = 600.0
_MORE_UPKEEP_SECONDS: Final = 1.0
_FIRST_DELAY: Final = 0.1
_LONGEST_DELAY: Final = 5.0

_AWAY: Final = (*DRIVER_ERRORS, DatabaseAway)

_OPTIONS: Final[dict[str, Any]] = {
    # The offsets that count are in PostgreSQL: without one in range, decide here rather than jump silently.
    "auto_offset_reset": "none",
    "fetch_max_wait_ms": 100,
    "fetch_max_bytes": 16 * MAX_RECORD_BYTES,
    "max_partition_fetch_bytes": MAX_RECORD_BYTES + 65_536,
    "metadata_max_age_ms": 5_000,
}

Fetched = Mapping[Source, Sequence[Record]]


class LogReplaced(Exception):  # noqa: N818 - reads as what it is
    """A partition ends before what the view has read of it: the topic was made anew under the view."""


class Materializer(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    """Fills the view until it is told to stop; neither Kafka's nor PostgreSQL's absence ends it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._store = Store(settings.database_url)
        self.stopping = asyncio.Event()
        self._positions: dict[Source, int] = {}
        self._uncommitted: dict[Source, int] = {}
        self._next_commit = self._next_upkeep = 0.0
        self._kafka: str | None = "not connected to Kafka yet"
        self._database: str | None = "not connected to PostgreSQL yet"

    def stop(self) -> None:
        """Ask the loop to end after the batch at hand."""
        self.stopping.set()

    async def kafka_check(self) -> str | None:
        """For `/readyz`: what is wrong with Kafka, if anything."""
        return self._kafka

    async def database_check(self) -> str | None:
        """For `/readyz`: what is wrong with PostgreSQL, if anything."""
        return self._database

    async def run(self) -> None:
        """Consume until `stop`; after an error of Kafka's, begin anew from what PostgreSQL says."""
        delay = _FIRST_DELAY
        while not self.stopping.is_set():
            began = time.monotonic()
            try:
                await self._consume()
            except (KafkaError, LogReplaced, OSError, asyncio.CancelledError) as error:
                if isinstance(error, asyncio.CancelledError) and is_asked_to_end():
                    raise
                self._kafka = str(error) or type(error).__name__
                log.warning("kafka_away", why=self._kafka)
                delay = _FIRST_DELAY if time.monotonic() - began > _LONGEST_DELAY else delay
                delay = await self._wait(delay)
        await self._store.close()

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """They may be another's now; what is in flight for them is fenced by the offsets in PostgreSQL."""
        for partition in revoked:
            self._positions.pop(Source(*partition), None)
            self._uncommitted.pop(Source(*partition), None)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """The loop looks up where the view is before it takes a record of them."""
        for partition in assigned:
            self._positions.pop(Source(*partition), None)

    async def _consume(self) -> None:
        # aiokafka joins in the background, whatever the loop waits for: nobody needs longer to come back to the group.
        options = _OPTIONS | {"rebalance_timeout_ms": self._settings.kafka_session_timeout_ms}
        consumer = make_consumer(self._settings, group_id=GROUP, client_id="materializer", **options)
        consumer.subscribe(list(TOPICS), listener=self)
        try:
            await self._until_stop(consumer.start())
            while not self.stopping.is_set():
                await self._step(consumer)
            await self._commit(consumer)
        finally:
            self._positions.clear()
            self._uncommitted.clear()
            await consumer.stop()

    async def _until_stop(self, starting: Coroutine[Any, Any, None]) -> None:
        """Wait for a start, but not longer than until the stop: a join takes as long as others of the group let it."""
        tasks = [asyncio.ensure_future(starting), asyncio.ensure_future(self.stopping.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            # aiokafka leaks a connection that is cancelled while it asks for the cluster's metadata: let it ask.
            await asyncio.wait(tasks[:1], timeout=_BOOTSTRAP_SECONDS)
            if tasks[0].done():
                tasks[0].result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _step(self, consumer: AIOKafkaConsumer) -> None:
        if time.monotonic() >= self._next_upkeep:
            await self._keep_up()  # first of all at the start: events need their partitions
        await self._find_positions(consumer)
        fetched = await self._fetch(consumer)
        partitions = len(consumer.partitions_for_topic(EVENTS) or ())
        batch = make_batch(fetched, self._positions, partitions)
        if batch.expected:
            with committing(fetched):
                await self._apply(batch, fetched, partitions)
        if time.monotonic() >= self._next_commit:
            await self._commit(consumer)
            await self._look_for_rebuild()

    async def _find_positions(self, consumer: AIOKafkaConsumer) -> None:
        assigned = {Source(*partition) for partition in consumer.assignment()}
        missing = assigned - self._positions.keys()
        self._kafka = None if assigned else "no partition is assigned to this process yet"
        if not missing:
            return
        positions = await self._persist(lambda: self._store.positions(missing))
        for source, position in (positions or {}).items():
            if TopicPartition(*source) in consumer.assignment():
                consumer.seek(TopicPartition(*source), position)
                self._positions[source] = position

    async def _fetch(self, consumer: AIOKafkaConsumer) -> Fetched:
        try:
            fetched = await consumer.getmany(timeout_ms=_POLL_MS, max_records=_MAX_RECORDS)
        except OffsetOutOfRangeError as error:
            await self._skip_expired(consumer, list(error.args[0]))
            return {}
        except NoOffsetForPartitionError:
            # Assigned a moment ago and looked at before it was sought.
            self._positions.clear()
            return {}
        return {
            Source(*partition): [
                Record(r.topic, r.partition, r.offset, r.timestamp, r.value, r.headers) for r in records
            ]
            for partition, records in fetched.items()
        }

    async def _skip_expired(self, consumer: AIOKafkaConsumer, partitions: list[TopicPartition]) -> None:
        starts = await consumer.beginning_offsets(partitions)
        for partition, start in starts.items():
            position = self._positions.get(Source(*partition), 0)
            if start <= position:
                raise LogReplaced(
                    f"{partition.topic}[{partition.partition}] ends before offset {position}, up to which the view "
                    "has read it: the topic was made anew; empty the view to fill it from this one"
                )
            if position:
                log.warning("records_expired_unread", topic=partition.topic, partition=partition.partition,
                            from_offset=position, to_offset=start)  # fmt: skip
            consumer.seek(partition, start)

    async def _apply(self, batch: Batch, fetched: Fetched, partitions: int) -> None:
        try:
            applied = await self._persist(lambda: self._applied(batch))
        except _AWAY as error:
            log.warning("batch_refused", why=str(error))
            applied = await self._apply_one_by_one(fetched, partitions)
        if applied:
            self._advance(batch)
        else:
            self._positions.clear()

    async def _apply_one_by_one(self, fetched: Fetched, partitions: int) -> bool:
        """PostgreSQL refused a value: find its record, leave it out and keep the others."""
        for source, records in fetched.items():
            for record in records:
                batch = make_batch({source: [record]}, self._positions, partitions)
                if batch.expected and not await self._apply_or_leave_out(batch, record):
                    return False
        return True

    async def _apply_or_leave_out(self, batch: Batch, record: Record) -> bool:
        try:
            applied = await self._persist(lambda: self._applied(batch))
        except _AWAY as error:
            RECORDS_UNREADABLE.labels(record.topic).inc()
            with about(record.topic, record.partition, record.offset), under(context_of(record.headers)):
                log.warning("record_refused", why=str(error))
            empty = Batch(expected=batch.expected, reached=batch.reached)
            applied = await self._persist(lambda: self._applied(empty))
        if applied:
            self._advance(batch)
        return bool(applied)

    async def _applied(self, batch: Batch) -> bool:
        try:
            await self._store.apply(batch)
        except Outrun as outrun:
            log.info("outrun", why=str(outrun))
            return False
        return True

    def _advance(self, batch: Batch) -> None:
        self._positions |= {s: p for s, p in batch.reached.items() if s in self._positions}
        self._uncommitted |= {s: p for s, p in batch.reached.items() if s in self._positions}

    async def _persist(self, action: Any) -> Any:
        """What `action` gives, tried until PostgreSQL is there; None where the stop came first."""
        delay = _FIRST_DELAY
        while not self.stopping.is_set():
            try:
                result = await action()
            except _AWAY as error:
                await self._store.close()
                if not is_away(error):
                    raise
                self._database = str(error)
                log.warning("database_away", why=self._database, retry_in=delay)
                delay = await self._wait(delay)
            else:
                self._database = None
                return result
        return None

    async def _commit(self, consumer: AIOKafkaConsumer) -> None:
        """Tell Kafka too, for the tools that show lag; nothing depends on it."""
        self._next_commit = time.monotonic() + _COMMIT_SECONDS
        offsets, self._uncommitted = self._uncommitted, {}
        if not offsets:
            return
        try:
            await consumer.commit({TopicPartition(*source): offset for source, offset in offsets.items()})
        except KafkaError as error:
            log.info("offsets_not_shown_to_kafka", why=str(error))

    async def _look_for_rebuild(self) -> None:
        """A view that was emptied says so to no quiet materializer: its offsets are compared every second."""
        if not self._positions:
            return
        known = await self._persist(lambda: self._store.positions(self._positions))
        if known is not None and known != self._positions:
            log.info("positions_moved", why="the view was emptied or another process owns them")
            self._positions.clear()

    async def _keep_up(self) -> None:
        self._next_upkeep = time.monotonic() + _UPKEEP_SECONDS
        try:
            more = await self._persist(lambda: self._store.keep_up(self._settings.events_retention_days))
        except _AWAY as error:  # nothing is lost by it: events without a partition of their own go to the others'
            log.warning("upkeep_failed", why=str(error))
            return
        if more:
            self._next_upkeep = time.monotonic() + _MORE_UPKEEP_SECONDS

    async def _wait(self, delay: float) -> float:
        """Wait for `delay` seconds or the stop; gives the next delay."""
        return delay if await pause(self.stopping, delay) else min(delay * 2, _LONGEST_DELAY)
