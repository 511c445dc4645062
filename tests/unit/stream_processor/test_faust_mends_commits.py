"""Positions that may be committed: what plain Faust 0.15.3 gets wrong, and that the mended consumer gets it right.

A test called `test_plain_...` fails when a new Faust no longer has the fault: its mend can then go.
"""

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import faust
import pytest
from aiokafka.structs import ConsumerRecord
from faust.transport.consumer import Consumer
from faust.types import TP, ConsumerMessage
from hypothesis import given
from hypothesis import strategies as st
from intervaltree import IntervalTree  # type: ignore[import-untyped]

from runtime.settings import load_settings
from stream_processor import faust_mends
from stream_processor.batching import BatchConsumer, RecordBatch, consumer_of, split

PLACE = TP("events", 0)


def record(offset: int, size: int = 1) -> ConsumerRecord[bytes, bytes]:
    """A record at this offset with a value of `size` bytes."""
    return ConsumerRecord("events", 0, offset, 1_000, 0, None, b"x" * size, None, -1, size, ())


@pytest.fixture
async def consumer(tmp_path: Path) -> AsyncIterator[BatchConsumer]:
    """The consumer of a mended app that is never started, as if one partition had just been assigned."""
    settings = load_settings(_env_file=None, kafka_bootstrap_servers="127.0.0.1:1", state_dir=tmp_path)
    app = faust.App("commits", **faust_mends.recommended_options(settings))
    faust_mends.install(app)
    consumer = consumer_of(app)
    consumer._unfinished = {PLACE: deque()}
    consumer.open_sources([PLACE], generation=1)
    yield consumer
    consumer._thread.thread_loop.close()


def deliver(consumer: BatchConsumer, offsets: Sequence[int]) -> list[ConsumerMessage]:
    """Deliver these records as one fetch, each as a batch of its own."""
    consumer.max_records = 1
    return list(consumer._deliver(PLACE, [record(offset) for offset in offsets], 1))


@pytest.mark.parametrize(
    ("committed", "acked", "position"),
    [
        pytest.param(None, [1, 2, 3], 4, id="nothing committed yet: offset 0 is unfinished"),
        pytest.param(2585, [2586, 2587, 2588, 2589], 2590, id="offset 2585 is unfinished"),
    ],
)
def test_plain_faust_commits_past_an_unfinished_event(committed: int | None, acked: list[int], position: int) -> None:
    """Faust issue 606: the first unfinished offset is committed over, so after a crash it never comes again."""
    state = SimpleNamespace(
        _acked={PLACE: list(acked)},
        _acked_index={PLACE: set(acked)},
        _gap={PLACE: IntervalTree()},
        _committed_offset={PLACE: committed},
    )
    assert Consumer._new_offset(state, PLACE) == position  # type: ignore[arg-type]


async def test_a_commit_stops_before_the_first_unfinished_batch(consumer: BatchConsumer) -> None:
    """Whatever is finished behind it waits for it."""
    first, second, third = deliver(consumer, [7, 8, 9])
    consumer.ack(second)
    consumer.ack(third)
    assert consumer._new_offset(PLACE) is None
    consumer.ack(first)
    assert consumer._new_offset(PLACE) == 10


async def test_offsets_that_no_consumer_sees_hold_up_no_commit(consumer: BatchConsumer) -> None:
    """Gaps of compaction and of transactions are nothing unfinished."""
    for message in deliver(consumer, [3, 40, 500]):
        consumer.ack(message)
    assert consumer._new_offset(PLACE) == 501


@given(seed=st.integers(), finished=st.integers(min_value=0, max_value=12))
def test_the_committed_position_is_the_strict_low_water_mark(seed: int, finished: int) -> None:
    """In any order of finishing, exactly the unbroken run from the first batch is committed."""
    queue: deque[ConsumerMessage] = deque()
    state = SimpleNamespace(_unfinished={PLACE: queue}, _finished_to={})
    queue.extend(SimpleNamespace(offset=offset, acked=False) for offset in range(12))  # type: ignore[misc]
    order = random.Random(seed).sample(list(queue), finished)
    for message in order:
        message.acked = True
        BatchConsumer._advance(state, PLACE)  # type: ignore[arg-type]
    offsets = {message.offset for message in order}
    unbroken = next(offset for offset in range(13) if offset not in offsets)
    assert state._finished_to.get(PLACE, 0) == unbroken


async def test_what_is_finished_after_the_partition_was_lost_is_not_committed(consumer: BatchConsumer) -> None:
    """A batch of an earlier assignment says nothing about the present one."""
    (stale,) = deliver(consumer, [0])
    consumer._unfinished = {PLACE: deque()}
    deliver(consumer, [0])
    consumer.ack(stale)
    assert consumer._new_offset(PLACE) is None


async def test_a_closed_gate_wants_nothing(consumer: BatchConsumer) -> None:
    """Between revocation and the end of recovery no source is read, and nothing says it may change state then."""
    assert consumer._wanted() == {PLACE}
    consumer.stop_flow()
    assert consumer._wanted() == frozenset()
    assert consumer.owns(0), "begun batches may still end"


async def test_a_partition_with_enough_unfinished_batches_is_not_read_further(consumer: BatchConsumer) -> None:
    """Memory stays bounded however slow the agent is; finishing one batch makes room."""
    first, *_ = deliver(consumer, range(consumer.max_unfinished))
    assert consumer._wanted() == frozenset()
    consumer.ack(first)
    assert consumer._wanted() == {PLACE}


async def test_giving_up_partitions_waits_for_begun_writes(consumer: BatchConsumer) -> None:
    """A write that is under way ends before the next owner may recover; a new one may not begin."""
    consumer.stop_flow()
    with consumer.changing():
        leaving = asyncio.create_task(consumer.wait_empty())
        await asyncio.sleep(0)
        assert consumer.owns(0)
        assert not leaving.done()
    await leaving
    assert not consumer.owns(0)


async def test_all_is_replayed_once_the_end_at_assignment_is_finished_or_read_past(consumer: BatchConsumer) -> None:
    """The end may lie behind records that no consumer sees: then having read past it is enough."""
    consumer.replay_horizon = {PLACE: 3}
    (message,) = deliver(consumer, [1])
    consumer._read_to = {PLACE: 3}
    assert not consumer.has_replayed(PLACE), "offset 1 is unfinished"
    consumer.ack(message)
    assert consumer.has_replayed(PLACE)


@given(
    sizes=st.lists(st.integers(min_value=0, max_value=50), max_size=40),
    max_records=st.integers(min_value=1, max_value=10),
    max_bytes=st.integers(min_value=1, max_value=100),
)
def test_a_fetch_is_cut_into_runs_within_both_limits(sizes: list[int], max_records: int, max_bytes: int) -> None:
    """Nothing is left out or reordered; only a record larger than the limit stands above it, and alone."""
    records = [record(offset, size) for offset, size in enumerate(sizes)]
    runs = list(split(records, max_records, max_bytes))
    assert [one for run in runs for one in run] == records
    for run in runs:
        assert 1 <= len(run) <= max_records
        assert len(run) == 1 or sum(one.serialized_value_size for one in run) <= max_bytes


def test_a_batch_passes_a_codec_of_bytes_untouched() -> None:
    """To Faust it is bytes; the records travel with it."""
    batch = RecordBatch.of([record(1)])
    assert bytes(batch) == b""
    assert [one.offset for one in batch.records] == [1]
