"""Read topics by position, apart from the group: sample events, earlier analyses, the newest record of an incident."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from runtime.kafka import make_consumer
from runtime.settings import Settings

_POLL_MS: Final = 300
_GAP: Final = 2_000
"""Records between two wanted ones that are sought past rather than read."""
_FETCH_BYTES: Final = 1024 * 1024

Kept = TypeVar("Kept")


class LogReader:
    """A consumer without a group. One use at a time."""

    def __init__(self, settings: Settings) -> None:
        self._consumer: AIOKafkaConsumer = make_consumer(
            settings,
            group_id=None,
            auto_offset_reset="none",
            max_partition_fetch_bytes=_FETCH_BYTES,
            # A seek waits for the fetch under way, which may be at the end of the log.
            fetch_max_wait_ms=20,
        )

    async def start(self) -> None:
        """Connect."""
        await self._consumer.start()

    async def stop(self) -> None:
        """Disconnect."""
        await self._consumer.stop()

    async def records_at(
        self, topic: str, wanted: Mapping[int, set[int]], seconds: float, keep: Callable[[Any], Kept]
    ) -> dict[tuple[int, int], Kept]:
        """What `keep` makes of the records of `topic` at some offsets, by (partition, offset).

        Records may be large: only what `keep` gives is held. Those that retention has removed are missing from the
        answer, as are those not read within `seconds`.
        """
        partitions = [TopicPartition(topic, number) for number in wanted]
        queues = await self._within_log({TopicPartition(topic, n): offsets for n, offsets in wanted.items()})
        self._consumer.assign(partitions)
        found: dict[tuple[int, int], Kept] = {}
        try:
            async with asyncio.timeout(seconds):
                for partition, queue in queues.items():
                    self._consumer.seek(partition, queue[0])
                while queues:
                    await self._read_some(queues, found, keep)
        except TimeoutError:
            pass  # what is missing is missing; the analysis says how many events it saw
        finally:
            self._consumer.unsubscribe()
        return found

    async def _within_log(self, wanted: Mapping[TopicPartition, set[int]]) -> dict[TopicPartition, deque[int]]:
        starts = await self._consumer.beginning_offsets(list(wanted)) if wanted else {}
        kept = {tp: deque(sorted(o for o in offsets if o >= starts[tp])) for tp, offsets in wanted.items()}
        return {tp: queue for tp, queue in kept.items() if queue}

    async def _read_some(
        self,
        queues: dict[TopicPartition, deque[int]],
        found: dict[tuple[int, int], Kept],
        keep: Callable[[Any], Kept],
    ) -> None:
        try:
            batches = await self._consumer.getmany(*queues, timeout_ms=_POLL_MS)
        except OffsetOutOfRangeError as error:
            # Retention, or a topic made anew, took them in the meantime.
            for partition in error.args[0]:
                queues.pop(partition, None)
            return
        for partition, records in batches.items():
            queue = queues[partition]
            for record in records:
                while queue and queue[0] < record.offset:
                    queue.popleft()
                if queue and queue[0] == record.offset:
                    found[partition.partition, queue.popleft()] = keep(record)
            if not queue:
                del queues[partition]
            elif records and queue[0] > records[-1].offset + _GAP:
                self._consumer.seek(partition, queue[0])

    async def tail(self, topic: str, partition: int, start: int, most: int) -> AsyncIterator[Any]:
        """The records of a partition from `start` to its present end, at most about the last `most`."""
        place = TopicPartition(topic, partition)
        first = (await self._consumer.beginning_offsets([place]))[place]
        end = (await self._consumer.end_offsets([place]))[place]
        async for record in self.between(topic, partition, range(max(first, start, end - most), end)):
            yield record

    async def range_since(self, topic: str, partition: int, moment: int) -> tuple[int, int]:
        """The first offset of a partition whose record is not older than `moment`, and its present end.

        `moment`: milliseconds since the epoch.
        """
        place = TopicPartition(topic, partition)
        end = (await self._consumer.end_offsets([place]))[place]
        found = (await self._consumer.offsets_for_times({place: moment}))[place]
        return (found.offset if found else end), end

    async def between(self, topic: str, partition: int, offsets: range) -> AsyncIterator[Any]:
        """The records of a partition at `offsets`, without those that compaction or retention took."""
        place, position = TopicPartition(topic, partition), offsets.start
        if not offsets:
            return
        self._consumer.assign([place])
        self._consumer.seek(place, position)
        while position < offsets.stop:
            for record in (await self._consumer.getmany(place, timeout_ms=_POLL_MS)).get(place, []):
                if record.offset < offsets.stop:
                    yield record
            position = await self._consumer.position(place)
