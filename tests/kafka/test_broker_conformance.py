"""What the pipeline relies on in a broker's log: offsets, positions, timestamps, contents."""

import time

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import MessageSizeTooLargeError

from runtime.settings import Settings
from tests.support.conformance import behaviour
from tests.support.topics import consumer, end_offset, new_topic, produce_batch, producer, read, read_to
from tests.support.waiting import eventually

ONE_DAY_MS = 24 * 60 * 60 * 1000


@behaviour("end offset after a batch")
async def test_end_offset_counts_every_record_of_a_batch(broker_settings: Settings) -> None:
    """After one batch of 100 records the end offset is 100."""
    topic = await new_topic(broker_settings)
    async with producer(broker_settings) as client:
        await produce_batch(client, topic, [b"x"] * 100)
    assert await end_offset(broker_settings, topic) == 100


@behaviour("end offset behind a fence")
async def test_end_offset_is_right_behind_a_batch_of_one_record(broker_settings: Settings) -> None:
    """A batch of one record behind a batch of 100 gets offset 100 and moves the end offset to 101."""
    topic = await new_topic(broker_settings)
    async with producer(broker_settings) as client:
        await produce_batch(client, topic, [b"x"] * 100)
        assert await produce_batch(client, topic, [b"fence"]) == 100
    assert await end_offset(broker_settings, topic) == 101


@behaviour("high watermark of a fetch")
async def test_fetch_tells_the_true_end(broker_settings: Settings) -> None:
    """A fetch at the record before the reported end offset names the true end, after batches of any size."""
    topic = await new_topic(broker_settings)
    place = TopicPartition(topic, 0)
    async with producer(broker_settings) as writer, consumer(broker_settings) as reader:
        reader.assign([place])
        end = 0
        for size in (1, 100, 3, 1, 500):
            await produce_batch(writer, topic, [b"x"] * size)
            end += size
            reader.seek(place, (await reader.end_offsets([place]))[place] - 1)

            async def fetched() -> bool:
                return bool(await reader.getmany(place, timeout_ms=200))

            await eventually(fetched, what="the last batch")
            assert reader.highwater(place) == end


@behaviour("offset of an acknowledgement")
async def test_acknowledgement_names_the_offset_of_each_record(broker_settings: Settings) -> None:
    """Records sent together are acknowledged with the offsets at which they are then read."""
    topic = await new_topic(broker_settings)
    async with producer(broker_settings, linger_ms=50) as client:
        pending = [await client.send(topic, b"%d" % n, partition=0) for n in range(10)]
        offsets = [(await future).offset for future in pending]
    assert offsets == [record.offset for record in await read(broker_settings, topic, 10)]


@behaviour("beginning offset")
async def test_beginning_offset_of_a_new_partition_is_zero(broker_settings: Settings) -> None:
    """ListOffsets(earliest) and ListOffsets(latest) of an empty partition are both 0."""
    place = TopicPartition(await new_topic(broker_settings), 0)
    async with consumer(broker_settings) as client:
        assert await client.beginning_offsets([place]) == {place: 0}
        assert await client.end_offsets([place]) == {place: 0}


@behaviour("offsets for times")
async def test_offset_for_a_time_is_the_first_record_at_or_after_it(broker_settings: Settings) -> None:
    """Asked for a time between two records, the broker names the later one; after the last, none."""
    topic = await new_topic(broker_settings)
    place = TopicPartition(topic, 0)
    first = int(time.time() * 1000) - 60_000
    async with producer(broker_settings) as client:
        for number in range(3):
            await client.send_and_wait(topic, b"x", partition=0, timestamp_ms=first + 1_000 * number)
    async with consumer(broker_settings) as client:
        found = [(await client.offsets_for_times({place: first + t}))[place] for t in (0, 500, 2_000, 2_001)]
    assert [at and at.offset for at in found] == [0, 1, 2, None]


@behaviour("fetch from the middle of a batch")
async def test_reading_starts_at_the_asked_offset(broker_settings: Settings) -> None:
    """A reader that seeks into the middle of a batch gets that record first and misses none after it."""
    topic = await new_topic(broker_settings)
    async with producer(broker_settings) as client:
        await produce_batch(client, topic, [b"%d" % n for n in range(20)])
    records = await read(broker_settings, topic, 7, start=13)
    assert [(record.offset, record.value) for record in records] == [(n, b"%d" % n) for n in range(13, 20)]


@behaviour("log append time")
async def test_broker_stamps_records_with_its_own_clock(broker_settings: Settings) -> None:
    """On a topic with LogAppendTime the producer's timestamp is replaced by the time of receipt."""
    topic = await new_topic(broker_settings, message_timestamp_type="LogAppendTime")
    async with producer(broker_settings) as client:
        before = int(time.time() * 1000)
        await client.send_and_wait(topic, b"x", partition=0, timestamp_ms=before - ONE_DAY_MS)
        after = int(time.time() * 1000)
    (record,) = await read(broker_settings, topic, 1)
    assert before <= record.timestamp <= after
    assert record.timestamp_type == 1


@behaviour("create time")
async def test_producer_stamps_records_by_default(broker_settings: Settings) -> None:
    """Without LogAppendTime a record keeps the producer's timestamp to the millisecond."""
    topic = await new_topic(broker_settings)
    stamped = int(time.time() * 1000) - 12_345
    async with producer(broker_settings) as client:
        await client.send_and_wait(topic, b"x", partition=0, timestamp_ms=stamped)
    (record,) = await read(broker_settings, topic, 1)
    assert (record.timestamp, record.timestamp_type) == (stamped, 0)


@behaviour("headers and nulls")
async def test_headers_null_keys_and_null_values_survive(broker_settings: Settings) -> None:
    """Headers keep their order and repeats; null and empty stay different."""
    topic = await new_topic(broker_settings)
    headers = [("a", b"1"), ("b", b""), ("a", b"\xff")]
    async with producer(broker_settings) as client:
        await client.send_and_wait(topic, None, key=b"k", partition=0, headers=headers)
        await client.send_and_wait(topic, b"", key=b"", partition=0)
        await client.send_and_wait(topic, b"v", partition=0)
    records = await read(broker_settings, topic, 3)
    assert [(record.key, record.value) for record in records] == [(b"k", None), (b"", b""), (None, b"v")]
    assert [list(record.headers) for record in records] == [headers, [], []]


@behaviour("explicit partition")
async def test_record_lies_in_the_partition_that_was_asked_for(broker_settings: Settings) -> None:
    """A producer that names the partition finds its records there and nowhere else."""
    topic = await new_topic(broker_settings, partitions=3)
    async with producer(broker_settings) as client:
        for number in (2, 0, 2):
            await client.send_and_wait(topic, b"%d" % number, partition=number)
        await client.send_and_wait(topic, b"1", partition=1)
    for number, count in ((0, 1), (1, 1), (2, 2)):
        records = await read(broker_settings, topic, count, partition=number)
        assert [record.value for record in records] == [b"%d" % number] * count


@pytest.mark.parametrize("compression", ["gzip", "snappy", "lz4", "zstd"])
@behaviour("compressed batches")
async def test_compressed_batches_are_read_back(broker_settings: Settings, compression: str) -> None:
    """Batches of every codec that a foreign producer may choose come back whole."""
    topic = await new_topic(broker_settings)
    async with producer(broker_settings, compression_type=compression) as client:
        await produce_batch(client, topic, [b"x" * 1_000] * 50)
    assert [record.value for record in await read(broker_settings, topic, 50)] == [b"x" * 1_000] * 50


@behaviour("large records")
async def test_largest_record_of_a_topic_is_taken_and_a_larger_one_refused(broker_settings: Settings) -> None:
    """`max.message.bytes` is a limit that the broker keeps, up to 2 MiB."""
    topic = await new_topic(broker_settings, max_message_bytes="2097152")
    async with producer(broker_settings, max_request_size=8_000_000, max_batch_size=8_000_000) as client:
        await client.send_and_wait(topic, b"x" * 2_000_000, partition=0)
        with pytest.raises(MessageSizeTooLargeError):
            await client.send_and_wait(topic, b"x" * 2_200_000, partition=0)
    assert len((await read(broker_settings, topic, 1))[0].value or b"") == 2_000_000


@behaviour("idempotent produce")
async def test_idempotent_producers_are_served(broker_settings: Settings) -> None:
    """A producer with `enable_idempotence` gets its id and writes in order."""
    topic = await new_topic(broker_settings)
    async with producer(broker_settings, enable_idempotence=True) as client:
        for number in range(20):
            await client.send_and_wait(topic, b"%d" % number, partition=0)
    assert [record.value for record in await read(broker_settings, topic, 20)] == [b"%d" % n for n in range(20)]


@behaviour("transactions")
async def test_records_of_an_aborted_transaction_are_not_read(broker_settings: Settings) -> None:
    """A reader of committed records gets those of the committed transaction alone."""
    topic = await new_topic(broker_settings)
    async with producer(broker_settings, enable_idempotence=True, transactional_id=topic) as client:
        async with client.transaction():
            await client.send_and_wait(topic, b"kept", partition=0)
        await client.begin_transaction()
        await client.send_and_wait(topic, b"dropped", partition=0)
        await client.abort_transaction()
        async with client.transaction():
            await client.send_and_wait(topic, b"kept too", partition=0)
    assert [record.value for record in await read(broker_settings, topic, 2)] == [b"kept", b"kept too"]


@behaviour("compaction")
async def test_compaction_keeps_the_last_record_of_each_key(broker_settings: Settings) -> None:
    """In a compacted topic the older records of a key disappear, and offsets stay what they were."""
    topic = await new_topic(
        broker_settings,
        cleanup_policy="compact",
        segment_ms="50",
        min_cleanable_dirty_ratio="0.01",
        max_compaction_lag_ms="1",
    )
    async with producer(broker_settings) as client:
        for number in range(10):
            await client.send_and_wait(topic, b"%d" % number, key=b"k", partition=0)

        async def compacted() -> bool:
            # A new record closes the open segment, which is never compacted.
            end = (await client.send_and_wait(topic, b"end", key=b"end", partition=0)).offset
            records = await read_to(broker_settings, topic, end)
            return [(r.offset, r.value) for r in records if r.key == b"k"] == [(9, b"9")]

        await eventually(compacted, timeout=12, what="compaction")
