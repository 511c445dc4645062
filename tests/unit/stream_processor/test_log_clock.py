"""The log's clock goes on by records alone, and deadlines come in order."""

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.timestamps import MICROSECONDS
from stream_processor.log_clock import MOST_GAP, TICK, Deadlines, LogClock, Moment, Timeline
from tests.support.memory_log import LogRecord


def records(*seconds: float) -> list[LogRecord]:
    return [LogRecord(n, TICK, timestamp=round(second * 1_000)) for n, second in enumerate(seconds)]


def heard(*seconds: float) -> list[float]:
    """The clock after each of some records, in seconds."""
    clock, found = LogClock(), []
    for record in records(*seconds):
        clock, timeline = clock.read([record])
        assert timeline.heard == clock.heard
        found.append(clock.heard / MICROSECONDS)
    return found


def test_time_goes_on_from_record_to_record() -> None:
    """The first is the beginning; then it is the difference of append times."""
    assert heard(1_000, 1_000, 1_001.5, 1_009) == [0, 0, 1.5, 9]


def test_a_gap_is_an_outage_and_counts_little() -> None:
    """Ten seconds at most, so that nobody is missed while nobody could be heard."""
    assert heard(0, 10, 20.001, 3_600) == [0, 10, 20, 30]
    assert MOST_GAP == 10 * MICROSECONDS


def test_time_never_goes_back() -> None:
    """A record that is stamped earlier, by another broker, brings nothing; nor does what makes up for it."""
    assert heard(100, 95, 99, 100, 102) == [0, 0, 0, 0, 2]


def test_records_that_the_clock_includes_are_skipped() -> None:
    """A replay from an earlier commit changes nothing."""
    clock, _ = LogClock().read(records(0, 5, 9))

    assert clock.read(records(0, 5, 9))[0] == clock
    again, timeline = clock.read(records(0, 5, 9, 12))
    assert (again.offset, again.heard / MICROSECONDS) == (3, 12)
    assert [timeline.heard_at(offset) / MICROSECONDS for offset in range(4)] == [9, 9, 9, 12]


@settings(max_examples=100, deadline=None)
@given(seconds=st.lists(st.integers(0, 60), min_size=1, max_size=30), size=st.integers(1, 30))
def test_batches_make_no_difference(seconds: list[int], size: int) -> None:
    """Whole or in pieces: the same clock at every record."""
    log = records(*seconds)
    whole, timeline = LogClock().read(log)
    clock = LogClock()
    for start in range(0, len(log), size):
        clock, part = clock.read(log[start : start + size])
        assert all(part.heard_at(r.offset) == timeline.heard_at(r.offset) for r in log[start : start + size])
    assert clock == whole


def test_a_deadline_comes_at_the_first_record_at_which_it_has_passed() -> None:
    """Exactly at it, or behind it; None where no record is that far."""
    timeline = Timeline(LogClock(), [Moment(3, 10, 100), Moment(4, 20, 200), Moment(5, 20, 201)])
    assert [timeline.first_from(due) for due in (10, 11, 20)] == [
        Moment(3, 10, 100),
        Moment(4, 20, 200),
        Moment(4, 20, 200),
    ]
    assert timeline.first_from(21) is None


@settings(max_examples=200, deadline=None)
@given(
    steps=st.lists(st.tuples(st.sampled_from("abc"), st.none() | st.integers(0, 50)), max_size=40),
    known=st.dictionaries(st.sampled_from("abc"), st.integers(0, 50)),
    ends=st.lists(st.integers(0, 50), min_size=1, max_size=5),
)
def test_no_deadline_is_missed(steps: list[tuple[str, int | None]], known: dict[str, int], ends: list[int]) -> None:
    """Whatever was put before: who has come to its deadline is among those taken, once."""
    deadlines = Deadlines((due, service) for service, due in known.items())
    true: dict[str, int | None] = dict(known)
    for service, due in steps:
        before = true.get(service)
        true[service] = due if before is None or due is None or due < before else max(before, due)
        deadlines.put(service, due)
    for heard_now in sorted(ends):
        taken = deadlines.take(heard_now)
        assert len(taken) == len(set(taken))
        assert {service for service, due in true.items() if due is not None and due <= heard_now} <= set(taken)
        for service in taken:
            if (due := true.get(service)) is not None and due <= heard_now:
                true[service] = None
            deadlines.put(service, true.get(service))
    assert len(deadlines) <= 3
