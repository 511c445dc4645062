"""The consumer under the Faust app: many records as one event, strict commits, and a gate that loses nothing.

Faust hands every record alone through queues, tasks and locks (about 100 microseconds each). Here up to
`max_records` consecutive records of one partition travel as one Faust event, which is what lets one process detect
on more than a hundred thousand events a second. A batch is what one fetch brought: nothing waits to be filled.

It also holds three promises that Faust 0.15.3 does not keep (see docs/adr/0002-faust-mends.md):

* a position is committed only when every batch before it is finished (`_new_offset`);
* source partitions are read only between `open_sources` and `stop_flow`, and every opening follows a seek;
* after a seek no fetch of an older position is in flight (`perform_seek`).
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from time import monotonic
from typing import Any, Final, Self

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import ConsumerStoppedError
from aiokafka.structs import ConsumerRecord, TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, AppT, ConsumerMessage, Message
from faust.types.tuples import ack_lock
from mode import ServiceT
from mode.utils.futures import notify

from stream_processor.fatal import exit_now

log = structlog.get_logger(__name__)

MAX_RECORDS: Final = 500
MAX_BYTES: Final = 4 * 1024 * 1024
MAX_UNFINISHED: Final = 4
"""Batches of one partition that may be delivered and unfinished before no more of it is fetched."""

_LEASE: Final = 0.8
"""The part of the session timeout after which a heartbeat is too old to act on."""
_FETCH_MAX_WAIT_MS: Final = 100
_FETCH_SECONDS: Final = 1.0
_FETCH_SECONDS_WHILE_ANY_IS_FULL: Final = 0.02
_REVOCATION_SECONDS: Final = 45.0
"""How long unfinished batches may hold up a rebalance; under `broker_rebalance_timeout`."""


class RecordBatch(bytes):
    """Consecutive records of one partition: the value of one Faust event (empty as bytes, so no codec touches it)."""

    records: Sequence[ConsumerRecord[bytes | None, bytes | None]]

    @classmethod
    def of(cls, records: Sequence[ConsumerRecord[bytes | None, bytes | None]]) -> Self:
        """A batch of these records; there is at least one."""
        batch = cls()
        batch.records = records
        return batch


def split(
    records: Sequence[ConsumerRecord[bytes | None, bytes | None]], max_records: int, max_bytes: int
) -> Iterator[Sequence[ConsumerRecord[bytes | None, bytes | None]]]:
    """Cut a fetch into runs of at most `max_records` and, but for a single larger record, `max_bytes`."""
    start = size = 0
    for index, record in enumerate(records):
        more = max(record.serialized_value_size, 0)
        if index > start and (index - start >= max_records or size + more > max_bytes):
            yield records[start:index]
            start, size = index, 0
        size += more
    if start < len(records):
        yield records[start:]


class BatchConsumerThread(driver.AIOKafkaConsumerThread):
    """The thread of the Kafka client, which also notes when the group last confirmed this member."""

    confirmed_at: float = 0.0
    """Monotonic seconds of the last heartbeat that the group answered well."""

    async def on_start(self) -> None:
        """Start the client and listen to its heartbeats."""
        await super().on_start()
        coordinator: Any = vars(self._ensure_consumer())["_coordinator"]
        heartbeat = coordinator._do_heartbeat  # noqa: SLF001 - aiokafka tells of heartbeats nowhere else

        async def noting_heartbeat() -> bool:
            sent_at = monotonic()
            confirmed: bool = await heartbeat()
            if confirmed:
                self.confirmed_at = sent_at
            return confirmed

        coordinator._do_heartbeat = noting_heartbeat  # noqa: SLF001 - the same

    def _create_consumer(self, loop: asyncio.AbstractEventLoop) -> AIOKafkaConsumer:
        consumer = super()._create_consumer(loop)
        # aiokafka leaves a partition out of the next fetch while its records are still with us, and the next fetch
        # then waits this long for the others: Faust's fixed 1,500 ms would be the latency of a quiet topic.
        consumer._fetch_max_wait_ms = _FETCH_MAX_WAIT_MS  # noqa: SLF001 - Faust has no setting for it
        # Faust reads aborted transactions of foreign producers unless it writes transactions itself.
        consumer._isolation_level = "read_committed"  # noqa: SLF001 - the same
        return consumer

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Joining is a confirmation too."""
        self.confirmed_at = monotonic()
        await super().on_partitions_assigned(assigned, generation_id)

    async def seek_sources(self, sources: Iterable[TP]) -> tuple[Mapping[TP, int | None], Mapping[TP, int]]:
        """Put each partition at its committed offset, or at its start where nothing was committed.

        Gives the committed offsets and the positions taken.
        """
        found: tuple[Mapping[TP, int | None], Mapping[TP, int]] = await self.call_thread(
            _seek_to_committed_or_start, self._ensure_consumer(), list(sources)
        )
        return found

    def positions(self, sources: Iterable[TP]) -> Mapping[TP, int]:
        """Up to where each partition was fetched and handed over, unseen records included."""
        assignment = self._ensure_consumer()._subscription.subscription.assignment  # noqa: SLF001 - position() hops
        states = {tp: assignment.state_value(TopicPartition(*tp)) for tp in sources}
        return {tp: state.position for tp, state in states.items() if state is not None and state.has_valid_position}

    async def hold(self, partitions: Iterable[TP]) -> None:
        """Stop the client from fetching partitions that are assigned but not read through it (changelogs)."""
        await self.call_thread(_pause, self._ensure_consumer(), [TopicPartition(*tp) for tp in partitions])


async def _pause(consumer: AIOKafkaConsumer, partitions: list[TopicPartition]) -> None:
    consumer.pause(*partitions)


async def _seek_to_committed_or_start(
    consumer: AIOKafkaConsumer, sources: list[TP]
) -> tuple[Mapping[TP, int | None], Mapping[TP, int]]:
    committed = {tp: await consumer.committed(TopicPartition(*tp)) for tp in sources}
    starts = await consumer.beginning_offsets([TopicPartition(*tp) for tp in sources])
    # What lies before the start is gone by retention, whatever was committed.
    positions = {tp: max(offset or 0, starts[TopicPartition(*tp)]) for tp, offset in committed.items()}
    for tp, position in positions.items():
        consumer.seek(TopicPartition(*tp), position)
    return committed, positions


class BatchConsumer(driver.Consumer):
    """Faust's Kafka consumer with batches, strict commits and a gate; see the module."""

    max_records = MAX_RECORDS
    max_bytes = MAX_BYTES
    max_unfinished = MAX_UNFINISHED

    _thread: BatchConsumerThread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._owned: frozenset[int] = frozenset()
        self.replay_horizon: dict[TP, int] = {}
        """For each owned source partition its end when it was assigned: all before it existed already then."""
        self._started_at: Mapping[TP, int] = {}
        self._read_to: Mapping[TP, int] = {}
        self._changes = 0
        self._when_closing: Callable[[], None] | None = None
        self._sources: frozenset[TP] = frozenset()
        self._generation: int | None = None
        self._unfinished: dict[TP, deque[ConsumerMessage]] = {}
        self._finished_to: dict[TP, int] = {}
        self._fetching = asyncio.Lock()
        self._room = asyncio.Event()

    def _new_consumer_thread(self) -> BatchConsumerThread:
        return BatchConsumerThread(self, loop=self.loop, beacon=self.beacon)

    # --- the gate ---------------------------------------------------------------------------------------

    def owns(self, partition: int) -> bool:
        """Whether this worker may change the state of this source partition: from recovery until it is given up."""
        return partition in self._owned

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Around every write that only the owner may do: partitions are given up after it has come to its end."""
        self._changes += 1
        try:
            yield
        finally:
            self._changes -= 1
            notify(self._waiting_for_ack)

    def is_confirmed(self) -> bool:
        """Whether the group counted on this member so lately that nobody can have replaced it."""
        return monotonic() - self._thread.confirmed_at < self.app.conf.broker_session_timeout * _LEASE

    def when_closing(self, callback: Callable[[], None]) -> None:
        """Call this when reading stops, before begun batches are waited for."""
        self._when_closing = callback

    def has_replayed(self, tp: TP) -> bool:
        """Whether all that the partition held when it was assigned is finished."""
        done = max(self._new_offset(tp) or 0, self._started_at.get(tp, 0))
        if not self._unfinished.get(tp):
            # The end may lie behind records that no consumer sees: markers of transactions, compacted ones.
            done = max(done, self._read_to.get(tp, 0))
        return done >= self.replay_horizon.get(tp, 0)

    def owned_partitions(self) -> frozenset[int]:
        """The source partitions whose state this worker may change."""
        return self._owned

    @property
    def is_open(self) -> bool:
        """Whether source partitions are being read."""
        return self._generation is not None

    def open_sources(self, sources: Iterable[TP], generation: int) -> None:
        """Begin to read; only after `perform_seek`, and after the stream queues were cleared."""
        self._sources = frozenset(sources)
        self._owned = frozenset(tp.partition for tp in self._sources)
        self._generation = generation
        self._room.set()

    def stop_flow(self) -> None:
        """Close the gate: what a fetch still brings is dropped, because every opening follows a seek."""
        super().stop_flow()
        self._generation = None
        self._room.set()
        if self._when_closing:
            self._when_closing()

    async def perform_seek(self) -> None:
        """Put every source partition where its commits end, with no older fetch in flight.

        Faust's own leaves a partition without commits where it stands, past what was fetched and dropped.
        """
        sources = [tp for tp in self.assignment() if not self._is_changelog_tp(tp)]
        async with self._fetching:
            committed, self._started_at = await self._thread.seek_sources(sources)
            self._unfinished = {tp: deque() for tp in sources}
            self._finished_to.clear()
            self._read_to = {}
        self._committed_offset.update(committed)

    async def hold(self, partitions: Iterable[TP]) -> None:
        """Fetch nothing of these assigned partitions."""
        await self._thread.hold(partitions)

    # --- reading ----------------------------------------------------------------------------------------

    async def _drain_messages(self, fetcher: ServiceT) -> None:
        """Fetch and deliver until stopped; replaces Faust's loop, which drops records by `_read_offset`."""
        try:
            while not (self.should_stop or fetcher.should_stop):
                for message in await self._next_batches():
                    if message.generation_id != self._generation:
                        break  # the gate closed meanwhile; they come again
                    await self.wait_first(self.callback(message), self.suspend_flow.wait())
        except ConsumerStoppedError:
            if not self.app.should_stop:
                raise
        except asyncio.CancelledError:
            if self.is_open and not self.app.should_stop:
                # Faust would go on without a reader, silently.
                exit_now("the reader of the source topics was cancelled")
            raise

    async def _next_batches(self) -> list[ConsumerMessage]:
        async with self._fetching:
            generation, wanted = self._generation, self._wanted()
            fetched = await self._fetch(wanted)
        if not wanted:
            await self._wait_for_room()
        if generation is None or generation != self._generation:
            return []
        messages = [message for tp, records in fetched.items() for message in self._deliver(tp, records, generation)]
        self._read_to = self._thread.positions(self._sources)
        return messages

    def _wanted(self) -> frozenset[TP]:
        self._room.clear()
        if self._generation is None:
            return frozenset()
        for tp in self._sources:
            self._advance(tp)
        return frozenset(tp for tp in self._sources if len(self._unfinished[tp]) < self.max_unfinished)

    async def _fetch(self, wanted: frozenset[TP]) -> Mapping[TP, Sequence[ConsumerRecord[bytes, bytes]]]:
        # An empty set would mean "all" to aiokafka, so it must never be asked with one.
        if wanted:
            seconds = _FETCH_SECONDS if wanted == self._sources else _FETCH_SECONDS_WHILE_ANY_IS_FULL
            fetched: Mapping[TP, Sequence[ConsumerRecord[bytes, bytes]]] = await self._getmany(
                set(wanted), timeout=seconds
            )
            return fetched
        return {}

    async def _wait_for_room(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._room.wait(), _FETCH_SECONDS)

    def _deliver(
        self, tp: TP, records: Sequence[ConsumerRecord[bytes, bytes]], generation: int
    ) -> Iterator[ConsumerMessage]:
        tp = TP(*tp)
        for run in split(records, self.max_records, self.max_bytes):
            message = _to_message(tp, run, generation)
            self._unfinished[tp].append(message)
            yield message

    # --- finishing and committing -----------------------------------------------------------------------

    def ack(self, message: Message) -> bool:
        """A batch is finished; it counts once all before it are."""
        with ack_lock:
            if message.acked:
                return False
            message.acked = True
        self._advance(message.tp)
        self.forget(message)
        return True

    def forget(self, message: Message) -> None:
        """Nobody works on this batch any more, finished or not: unfinished, it will be delivered again."""
        self._unacked_messages.discard(message)
        self._room.set()
        notify(self._waiting_for_ack)

    def _advance(self, tp: TP) -> None:
        queue = self._unfinished.get(tp)
        while queue and queue[0].acked:
            self._finished_to[tp] = queue.popleft().offset + 1

    def _new_offset(self, tp: TP) -> int | None:
        self._advance(tp)
        return self._finished_to.get(tp)

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        return (tp for tp in list(self._unfinished) if topics is None or tp in topics or tp.topic in topics)

    # --- losing partitions ------------------------------------------------------------------------------

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Let begun batches end, commit them, then give up the right to change state."""
        await super().on_partitions_revoked(revoked)
        self._owned = frozenset()
        self._unfinished.clear()
        self._finished_to.clear()

    async def wait_empty(self) -> None:
        """Wait for begun batches and commit; ends the process rather than overlap with the next owner."""
        deadline = monotonic() + _REVOCATION_SECONDS
        while (self._unacked_messages or self._changes) and not self.should_stop:
            if monotonic() > deadline:
                exit_now("batches did not end within the time of a rebalance", batches=len(self._unacked_messages))
            await self._wait_for_ack(timeout=1)
            self._clean_unacked_messages()
        self._owned = frozenset()
        await self.commit()

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Faust's detector only logs, and misjudges batches; lag and age are measured outside."""


def consumer_of(app: AppT) -> BatchConsumer:
    """The consumer of an app that the mends are installed in."""
    consumer = app.consumer
    assert isinstance(consumer, BatchConsumer), "call faust_mends.install(app) before the app starts"
    return consumer


def _to_message(tp: TP, records: Sequence[ConsumerRecord[bytes, bytes]], generation: int) -> ConsumerMessage:
    last = records[-1]
    return ConsumerMessage(
        tp.topic,
        tp.partition,
        last.offset,
        last.timestamp / 1000,
        last.timestamp_type,
        None,
        None,
        RecordBatch.of(records),
        None,
        0,
        0,
        tp,
        generation_id=generation,
    )


class BatchTransport(driver.Transport):
    """The Kafka transport with the batching consumer."""

    Consumer = BatchConsumer
