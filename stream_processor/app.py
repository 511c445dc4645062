"""Where Kafka comes in: the Faust app that brings batches of records to the processor and keeps its table."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from time import monotonic
from typing import Any, Final

import faust
from faust.types import TP, EventT

from runtime import metrics
from runtime.settings import Settings
from schemas.timestamps import now_micros
from schemas.topics import DETECTION_CHANGELOG, EVENTS, INCIDENT_STATUS
from stream_processor import faust_mends
from stream_processor.batching import BatchConsumer, RecordBatch
from stream_processor.dead_letter_limit import Limit
from stream_processor.disk_rows import DiskRows
from stream_processor.durable_table import DurableTable, PartitionLost, send_durably
from stream_processor.faust_mends import data_dir, finishing
from stream_processor.log_clock import TICK_SECONDS
from stream_processor.outgoing import Outgoing
from stream_processor.processor import Processor
from stream_processor.row_store import MemoryRows, RowStore
from stream_processor.rules import RuleSet
from stream_processor.sorting import Record
from stream_processor.state import supersedes

GROUP: Final = "ops-detection"
"""The consumer group, and Faust's id of the app."""

_TABLE: Final = "detection-state"
_TEND_SECONDS: Final = 5.0
_LISTEN_SECONDS: Final = 1.0


class DetectionApp:
    """The Faust app, its table and its processor.

    A status change waits until the worker has worked through everything that its partition held when it got it: only
    then is what an earlier worker may have published decided again, and the change falls after it in every replay.
    """

    def __init__(self, settings: Settings, rules: RuleSet, partitions: int) -> None:
        self.faust = faust.App(GROUP, **faust_mends.recommended_options(settings))
        # The broker that cannot do idempotence is also the one that tells ends too low.
        faust_mends.install(self.faust, distrust_end_offsets=not settings.kafka_idempotence)
        self.table = self._make_table(partitions, _row_store(settings))
        limit = Limit(settings.dlq_stop_share, settings.dlq_stop_window)
        self.processor = Processor(
            rules, self.table, self, partitions, limit=limit, by_pulse=settings.canary_interval > 0
        )
        self._turn = asyncio.Lock()
        """One input at a time: what the clock decides is durable before an event is decided on top of it."""
        self._held: dict[int, list[EventT[Any]]] = defaultdict(list)
        sources = self.faust.topic(
            EVENTS, INCIDENT_STATUS, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw"
        )
        self.faust.agent(sources, name="detect")(self._consume)
        self.faust.timer(interval=_TEND_SECONDS)(self._tend)
        self._heard_at: dict[int, float] = {}
        self.faust.timer(interval=_LISTEN_SECONDS)(self._listen)

    @property
    def is_ready(self) -> bool:
        """Whether state is recovered and the sources are being read."""
        return self.faust.started and self._consumer.is_open

    async def use_rules(self, rules: RuleSet) -> None:
        """Put rules in force between two inputs: all that was decided under the old ones is durable by then."""
        async with self._turn:
            self.processor.use_rules(rules, self.table.rows)

    async def publish(self, owner: int, records: Sequence[Outgoing]) -> None:
        """Publish on behalf of partition `owner`, as `processor.Publisher` has it."""
        await send_durably(self.faust, owner, records)

    async def _consume(self, stream: Any) -> None:
        async for event in stream.noack().events():
            if self.processor.stopped:
                self._consumer.forget(event.message)  # uncommitted, it comes again after the restart
            elif event.message.topic == EVENTS:
                await self._take_events(event)
            elif self._has_replayed(event.message.partition):
                await self._take_status_changes(event)
            else:
                self._held[event.message.partition].append(event)

    async def _take_events(self, event: EventT[Any]) -> None:
        partition = event.message.partition
        self._heard_at[partition] = monotonic()
        async with finishing(event), self._turn:
            await self.processor.take_events(partition, _records(event))
        if not self.processor.stopped and self._held.get(partition) and self._has_replayed(partition):
            for held in self._held.pop(partition):
                await self._take_status_changes(held)

    async def _take_status_changes(self, event: EventT[Any]) -> None:
        async with finishing(event), self._turn:
            await self.processor.take_status_changes(event.message.partition, _records(event))

    def _has_replayed(self, partition: int) -> bool:
        return self._consumer.has_replayed(TP(EVENTS, partition))

    async def _tend(self) -> None:
        metrics.STATE_ROWS.set(len(self.table))
        if self.is_ready and not self.processor.stopped:  # what is not read yet is no silence
            for partition in filter(self._has_replayed, self._consumer.owned_partitions()):
                async with self._turn:
                    await self._tend_partition(partition)

    async def _tend_partition(self, partition: int) -> None:
        with suppress(PartitionLost):  # its next owner tends it
            await self.processor.watch_quiet(partition, now_micros())
            await self.processor.clean_up(partition)

    async def _listen(self) -> None:
        """Keep the log's clock going where silence may decide something and nobody sends."""
        if not self.is_ready or self.processor.stopped:
            return
        for partition in filter(self._has_replayed, self._consumer.owned_partitions()):
            is_silent = monotonic() - self._heard_at.get(partition, 0.0) >= TICK_SECONDS
            if is_silent and self.processor.wants_tick(partition):
                self._heard_at[partition] = monotonic()
                with suppress(PartitionLost):  # its next owner listens
                    await self.processor.tick(partition)

    async def _recovered(self, partitions: frozenset[int]) -> None:
        self._consumer.when_closing(self._let_go)
        for partition in partitions:
            self.processor.recovered(partition, self.table.rows(partition), now_micros())

    def _let_go(self) -> None:
        """Partitions are being taken away: what was held back comes again, to whoever has them then."""
        for events in self._held.values():
            for event in events:
                self._consumer.forget(event.message)
        self._held.clear()

    @property
    def _consumer(self) -> BatchConsumer:
        consumer = self.faust.consumer
        assert isinstance(consumer, BatchConsumer)
        return consumer

    def _make_table(self, partitions: int, row_store: RowStore) -> DurableTable:
        changelog = self.faust.topic(
            DETECTION_CHANGELOG,
            partitions=partitions,
            key_type=bytes,
            value_type=bytes,
            key_serializer="raw",
            value_serializer="raw",
            compacting=True,
            internal=True,
            allow_empty=True,
        )
        table = self.faust.Table(
            _TABLE,
            partitions=partitions,
            key_type=bytes,
            value_type=bytes,
            changelog_topic=changelog,
            on_recovered=self._recovered,
            supersedes=supersedes,
            row_store=row_store,
        )
        assert isinstance(table, DurableTable)
        return table


def _row_store(settings: Settings) -> RowStore:
    return DiskRows(data_dir(settings)) if settings.state_store == "disk" else MemoryRows()


def _records(event: EventT[Any]) -> Sequence[Record]:
    batch = event.value
    assert isinstance(batch, RecordBatch)
    return batch.records
