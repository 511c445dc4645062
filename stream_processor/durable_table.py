"""A Faust table whose writes are on the changelog before anything else is told of them, and whose recovery is exact.

Faust's own table queues changelog records and hopes: a stalled or failing producer does not stop the commit of
source positions (tables/base.py:send_changelog, producer.py:84), and recovery counts offsets one by one, which a
compacted tail or a batch can defeat (tables/recovery.py:865). Here a write returns when the broker has acknowledged
it, and recovery reads each changelog partition from its first record to its end, nothing else running meanwhile.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from time import monotonic
from typing import Any, Final, NoReturn

import faust
import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError, KafkaTimeoutError
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import ConsumerRecord, TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.types import AppT

from stream_processor.batching import BatchConsumer, consumer_of
from stream_processor.outgoing import Outgoing
from stream_processor.row_store import MemoryRows, RowStore

log = structlog.get_logger(__name__)

_RETRY_SECONDS: Final = 0.2
_BATCH_BYTES: Final = 900 * 1024
"""A batch of several records stays under 1 MiB, which is what every topic takes; a larger record goes alone."""

OnRecovered = Callable[[frozenset[int]], Awaitable[None]]
Supersedes = Callable[[bytes, bytes, bytes], bool]
"""Whether, under a key, a row that lies behind another on the changelog is the newer of the two."""


class PartitionLost(Exception):  # noqa: N818 - reads as what it is
    """This worker may not (any longer) change the state of the partition; its new owner will redo the event."""


class DurableTable(faust.Table[bytes, bytes]):
    """Rows of bytes, each belonging to one partition, in a store of this worker and on a compacted changelog topic."""

    def __init__(
        self,
        *args: Any,
        on_recovered: OnRecovered | None = None,
        supersedes: Supersedes = lambda *_: True,
        row_store: RowStore | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._row_store = MemoryRows() if row_store is None else row_store
        self._on_recovered = on_recovered
        self._supersedes = supersedes

    # --- reading ----------------------------------------------------------------------------------------

    def get(self, key: bytes, default: Any = None) -> bytes | Any:
        """The row of `key`, whichever owned partition it belongs to."""
        value = self._row_store.get(key)
        return default if value is None else value

    def rows(self, partition: int) -> Mapping[bytes, bytes]:
        """All rows of one partition; empty when it is not owned."""
        return self._row_store.rows(partition)

    def __getitem__(self, key: bytes) -> bytes:
        value: bytes | None = self.get(key)
        if value is None:
            raise KeyError(key)
        return value

    def __contains__(self, key: object) -> bool:
        return isinstance(key, bytes) and self._row_store.get(key) is not None

    def __iter__(self) -> Iterator[bytes]:
        return self._row_store.keys()

    def __len__(self) -> int:
        return len(self._row_store)

    # --- writing ----------------------------------------------------------------------------------------

    async def write(self, partition: int, rows: Mapping[bytes, bytes | None]) -> None:
        """Set rows (None deletes) and wait until the broker has them all on the changelog.

        The rows go as one producer batch, so they stand on the changelog together, as far as they fit into
        `_BATCH_BYTES`. In the store they are set once the broker has acknowledged them.

        Raises:
            PartitionLost: the partition is not, or no longer, this worker's; nothing may be assumed written.
            KafkaError: the broker refuses the rows, and would again.
        """
        if not rows:
            return
        topic = self.changelog_topic_name
        await send_durably(self.app, partition, [Outgoing(topic, partition, key, row) for key, row in rows.items()])
        self._row_store.apply(partition, rows.items())

    def on_key_set(self, key: Any, value: Any) -> NoReturn:  # noqa: ARG002 - Faust's signature
        """Refuse `table[key] = value`: it could not wait for the broker."""
        raise TypeError("rows of a durable table are changed by `await table.write(partition, rows)`")

    def on_key_del(self, key: Any) -> NoReturn:
        """Refuse `del table[key]`, for the same reason."""
        self.on_key_set(key, None)

    # --- recovery ---------------------------------------------------------------------------------------

    async def recover(self, reader: AIOKafkaConsumer, partitions: frozenset[int]) -> None:
        """Forget everything and read the changelog of these partitions from first record to end."""
        self._row_store.reset(partitions)
        changelogs = [TopicPartition(self.changelog_topic_name, partition) for partition in partitions]
        started, count, late = monotonic(), 0, 0
        async for tp, records in read_to_end(reader, changelogs):
            count += len(records)
            late += self._apply_newer(tp.partition, records)
        log.info(
            "state_recovered",
            table=self.name,
            partitions=sorted(partitions),
            records=count,
            rows=len(self),
            late=late,
            seconds=round(monotonic() - started, 3),
        )

    def _apply_newer(self, partition: int, records: Iterable[ConsumerRecord[bytes, bytes]]) -> int:
        """Set the rows of the records but for those that a replaced worker has sent late; gives how many these are."""
        newest: dict[bytes, bytes | None] = {}
        late = 0
        for record in records:
            key, row = record.key, record.value
            if key is None:
                continue
            present = newest[key] if key in newest else self._row_store.get(key)
            if row is None or present is None or row == present or self._supersedes(key, row, present):
                newest[key] = row
            else:
                late += 1
        self._row_store.apply(partition, newest.items())
        return late

    async def announce_recovered(self, partitions: frozenset[int]) -> None:
        """Tell the owner of the table that all rows of these partitions, and no others, are there."""
        await self.call_recover_callbacks()
        if self._on_recovered is not None:
            await self._on_recovered(partitions)


async def read_to_end(
    reader: AIOKafkaConsumer, partitions: list[TopicPartition], *, only_last_batch: bool = False
) -> AsyncGenerator[tuple[TopicPartition, Sequence[ConsumerRecord[bytes, bytes]]], None]:
    """Everything that lies in `partitions` now, as (partition, records), in order for each.

    Whole fetches are taken up to the reported end, so an end that a broker reports too low by a part of its last
    batch (the embedded one does) still yields that batch entirely.
    """
    if not partitions:
        return
    reader.assign(partitions)
    ends = await reader.end_offsets(partitions)
    # Not `seek_to_beginning`: a reset that assign() has begun may still win over it in aiokafka.
    starts = await reader.beginning_offsets(partitions)
    for tp, start in starts.items():
        reader.seek(tp, max(start, ends[tp] - 1) if only_last_batch else start)
    left = [tp for tp in partitions if await reader.position(tp) < ends[tp]]
    while left:
        for tp, records in (await reader.getmany(*left, timeout_ms=500)).items():
            yield tp, records
        left = [tp for tp in left if await reader.position(tp) < ends[tp]]


# --- sending ------------------------------------------------------------------------------------------------


async def send_durably(app: AppT, owner: int, records: Sequence[Outgoing]) -> None:
    """Send records on behalf of source partition `owner` and wait until the broker has them all.

    The records of one topic partition go as one batch, as far as they fit, and keep their order. While the broker
    cannot be reached they are sent again, so sending twice must do no harm to those who read them.

    Raises:
        PartitionLost: the group took `owner` away before the broker had the records.
        KafkaError: the broker refuses them, and would again.
    """
    consumer = consumer_of(app)
    while True:
        await _wait_for_right(consumer, owner)
        try:
            with consumer.changing():
                await _send(_producer_of(app), records)
        except KafkaError as error:
            if not (error.retriable or isinstance(error, KafkaTimeoutError)):
                raise
            log.warning("send_failed", partition=owner, records=len(records), error=repr(error))
            if not consumer.is_open:
                raise PartitionLost(f"partition {owner} is being taken away") from error
            await asyncio.sleep(_RETRY_SECONDS)
        else:
            return


def _producer_of(app: AppT) -> AIOKafkaProducer:
    producer = app.producer
    assert isinstance(producer, driver.Producer)
    return producer._ensure_producer()  # noqa: SLF001 - Faust shows its client nowhere else


async def _wait_for_right(consumer: BatchConsumer, owner: int) -> None:
    """Wait until the group is known to count on this member: one that was away may have been replaced."""
    while consumer.owns(owner):
        if consumer.is_confirmed():
            return
        if not consumer.is_open:
            break
        await asyncio.sleep(_RETRY_SECONDS)
    raise PartitionLost(f"partition {owner} is not this worker's")


async def _send(producer: AIOKafkaProducer, records: Sequence[Outgoing]) -> None:
    by_partition: dict[TopicPartition, list[Outgoing]] = {}
    for record in records:
        by_partition.setdefault(TopicPartition(record.topic, record.partition), []).append(record)
    results = await asyncio.gather(
        *(_send_to_partition(producer, tp, mine) for tp, mine in by_partition.items()), return_exceptions=True
    )
    for result in results:
        if isinstance(result, BaseException):
            raise result


async def _send_to_partition(producer: AIOKafkaProducer, tp: TopicPartition, records: Sequence[Outgoing]) -> None:
    batch = producer.create_batch()
    for record in records:
        if batch.record_count() and batch.size() + _size(record) > _BATCH_BYTES:
            await _send_batch(producer, batch, tp)
            batch = producer.create_batch()
        batch.append(timestamp=None, key=record.key, value=record.value, headers=list(record.headers))
    await _send_batch(producer, batch, tp)


def _size(record: Outgoing) -> int:
    """About as many bytes as it takes in a batch, rather more."""
    headers = sum(len(name) + len(value) + 10 for name, value in record.headers)
    return len(record.key or b"") + len(record.value or b"") + headers + 40


async def _send_batch(producer: AIOKafkaProducer, batch: BatchBuilder, tp: TopicPartition) -> None:
    batch.close()
    await (await producer.send_batch(batch, tp.topic, partition=tp.partition))
