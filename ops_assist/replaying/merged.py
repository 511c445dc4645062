"""The records of several partitions in the order of their times, each partition in its own order."""

from collections import deque
from collections.abc import AsyncIterator, Sequence
from heapq import heapify, heappop, heappush
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from stream_processor.backtest.topic_range import Range

_FETCH_MS: Final = 500
_MOST_RECORDS: Final = 1_000

Record = Any


async def merged(consumer: AIOKafkaConsumer, topic: str, ranges: Sequence[Range]) -> AsyncIterator[Record]:
    """The records of ranges; at most one fetch of each partition is held."""
    sources = [_Source(consumer, topic, one) for one in ranges if one.size]
    consumer.assign([source.place for source in sources])
    for source in sources:
        consumer.seek(source.place, source.range.start)
    waiting = [(record.timestamp, n, record) for n, one in enumerate(sources) if (record := await one.next())]
    heapify(waiting)
    while waiting:
        _, number, record = heappop(waiting)
        yield record
        if (following := await sources[number].next()) is not None:
            heappush(waiting, (following.timestamp, number, following))


class _Source:
    """One partition of them."""

    def __init__(self, consumer: AIOKafkaConsumer, topic: str, wanted: Range) -> None:
        self.place = TopicPartition(topic, wanted.partition)
        self.range = wanted
        self._consumer = consumer
        self._records: deque[Record] = deque()

    async def next(self) -> Record | None:
        """The next record; None behind the last."""
        while not self._records:
            if await self._consumer.position(self.place) >= self.range.end:
                return None
            fetched = await self._consumer.getmany(self.place, timeout_ms=_FETCH_MS, max_records=_MOST_RECORDS)
            self._records.extend(fetched.get(self.place, ()))
        record = self._records.popleft()
        return record if record.offset < self.range.end else None
