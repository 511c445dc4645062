"""The limit that stops detection when nearly everything is a dead letter."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.topics import EVENTS_DLQ
from stream_processor.dead_letter_limit import Limit, Recent, TooManyDeadLetters
from stream_processor.processor import Processor
from stream_processor.rules import CountRule, RuleSet
from tests.support.memory_log import LogRecord, MemoryPublisher, MemoryRows


def stops_at(outcomes: list[bool], limit: Limit) -> int | None:
    """The naive oracle: the first record at which a full window holds too many."""
    for end in range(limit.window, len(outcomes) + 1):
        if sum(outcomes[end - limit.window : end]) >= limit.share * limit.window:
            return end - 1
    return None


@given(
    st.lists(st.lists(st.booleans(), max_size=12), max_size=12),
    st.sampled_from([0.1, 0.5, 0.9, 1.0]),
    st.integers(1, 20),
)
def test_it_stops_where_counting_by_hand_does(batches: list[list[bool]], share: float, window: int) -> None:
    """In whatever batches the records come: in the batch that holds that record."""
    limit = Limit(share, window)
    at = stops_at([dead for batch in batches for dead in batch], limit)
    recent, read, stopped = Recent(limit), 0, None
    for number, batch in enumerate(batches):
        if recent.take(batch):
            stopped = number
            break
        read += len(batch)
    if at is None:
        assert stopped is None
    else:
        assert stopped is not None
        assert read <= at < read + len(batches[stopped])


def test_one_bad_producer_among_others_does_not_stop_them() -> None:
    """Even where it sends four records of five."""
    assert not Recent(Limit(0.9, 1_000)).take([True, True, True, True, False] * 10_000)


def test_a_share_of_nothing_never_stops() -> None:
    """The way to let rubbish pass."""
    assert not Recent(Limit(0.0, 10)).take([True] * 10_000)


async def test_a_processor_that_stops_does_nothing_with_the_records_it_stopped_at() -> None:
    """Fewer letters than the window are out, none of the batch that made it full; ticks are no records of anybody."""
    publisher, rows = MemoryPublisher(), MemoryRows()
    rules = RuleSet((CountRule("burst", ("ERROR",), 5, 300, 3600),), 600)
    processor = Processor(rules, rows, publisher, 1, limit=Limit(1.0, 10))
    await processor.take_events(0, [LogRecord(n, b"junk" if n % 2 else b"[]") for n in range(18)])
    with pytest.raises(TooManyDeadLetters, match="10 of the last 10 records"):
        await processor.take_events(0, [LogRecord(18, b"[]"), LogRecord(19, b"junk"), LogRecord(20, b"junk")])
    assert [record.topic for record in publisher.records] == [EVENTS_DLQ] * 9
    assert processor.stopped
