"""What leaves together for one partition is cut into batches that every topic takes."""

import asyncio
from typing import Any, Final

from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import TopicPartition

from schemas.topics import MAX_RECORD_BYTES
from stream_processor.durable_table import _send_to_partition
from stream_processor.outgoing import Outgoing

MEBIBYTE: Final = 1024 * 1024
PLACE: Final = TopicPartition("ops.events", 0)


class Producer:
    """Keeps the batches that a producer would send."""

    def __init__(self) -> None:
        self.batches: list[BatchBuilder] = []

    def create_batch(self) -> BatchBuilder:
        return BatchBuilder(2 * MAX_RECORD_BYTES, 0, is_transactional=False)

    async def send_batch(self, batch: BatchBuilder, topic: str, *, partition: int) -> Any:
        assert (topic, partition) == PLACE
        self.batches.append(batch)
        acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        acknowledged.set_result(None)
        return acknowledged


async def test_a_batch_of_several_records_stays_under_a_mebibyte() -> None:
    """The default limit of a topic holds for what was compressed or not, records and headers together."""
    producer: Any = Producer()
    records = [Outgoing("ops.events", 0, b"key", b"v" * 3_000, [("why", b"h" * 500)]) for _ in range(1_000)]

    await _send_to_partition(producer, PLACE, records)

    assert sum(batch.record_count() for batch in producer.batches) == 1_000
    assert all(batch.size() < MEBIBYTE for batch in producer.batches)
    assert len(producer.batches) == 4


async def test_a_larger_record_goes_alone() -> None:
    """What its topic takes only by itself is neither held back nor put together with others."""
    producer: Any = Producer()
    sizes = [10, MAX_RECORD_BYTES - MEBIBYTE // 2, MAX_RECORD_BYTES - MEBIBYTE // 2, 10, 10]

    await _send_to_partition(producer, PLACE, [Outgoing("ops.events", 0, None, b"v" * size) for size in sizes])

    assert [batch.record_count() for batch in producer.batches] == [1, 1, 1, 2]
