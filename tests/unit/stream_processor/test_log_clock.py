"""The log's clock goes on by records alone, and deadlines come in order."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.canary import PREFIX
from schemas.timestamps import MICROSECONDS
from stream_processor.log_clock import MOST_GAP, STALE, TICK, Deadlines, LogClock, Moment, Timeline
from tests.support.memory_log import LogRecord

CANARY = f"{PREFIX}-0".encode()


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


def mixed(*steps: tuple[float, bool]) -> list[LogRecord]:
    """Records at some seconds; those that are marked are the canary's."""
    return [
        LogRecord(n, TICK, timestamp=round(second * 1_000), key=CANARY if beats else None)
        for n, (second, beats) in enumerate(steps)
    ]


def test_once_there_was_a_pulse_only_pulses_move_time_on() -> None:
    """Ticks and events of others say that the broker is there, not that the gateway is."""
    clock, timeline = LogClock().read(mixed((0, False), (4, False), (6, True), (8, False), (60, False), (62, True)))

    assert [timeline.heard_at(offset) / MICROSECONDS for offset in range(6)] == [0, 4, 6, 6, 6, 16]
    assert clock.pulse_at == 62 * MICROSECONDS


def test_without_the_canary_its_old_pulses_count_for_nothing() -> None:
    """It was turned off: all records move time on again."""
    before, _ = LogClock().read(mixed((0, True), (3, True)))
    clock, _ = before.read([LogRecord(2, TICK, timestamp=8_000)], by_pulse=False)

    assert (clock.heard / MICROSECONDS, clock.pulse_at, clock.hears_since(10**15)) == (8, None, 0)


def test_hearing_is_unbroken_from_the_pulse_after_the_last_gap() -> None:
    """Ten seconds without a pulse break it; and an old pulse is no sign that anything is heard now."""
    clock, _ = LogClock().read(mixed((0, True), (10, True), (30, True), (33, True), (34, False)))

    assert clock.hears_since(40 * MICROSECONDS) == 30 * MICROSECONDS
    assert clock.hears_since(33 * MICROSECONDS + STALE) == 30 * MICROSECONDS
    assert clock.hears_since(33 * MICROSECONDS + STALE + 1) is None
    assert LogClock().hears_since(10**15) == 0


steps = st.lists(st.tuples(st.sampled_from([0, 1, 3, 3, 4, 9, 11, 300]), st.booleans()), min_size=1, max_size=40)


@settings(max_examples=200, deadline=None)
@given(gaps=steps, size=st.integers(1, 40))
def test_the_clock_by_pulses_is_what_counting_by_hand_gives(gaps: list[tuple[int, bool]], size: int) -> None:
    """In whatever batches: the capped gaps between pulses, and before the first between all records."""
    times = [sum(gap for gap, _ in gaps[: end + 1]) for end in range(len(gaps))]
    log = mixed(*((time, beats) for time, (_, beats) in zip(times, gaps, strict=True)))
    clock = LogClock()
    for start in range(0, len(log), size):
        clock, timeline = clock.read(log[start : start + size])
        for record in log[start : start + size]:
            assert timeline.heard_at(record.offset) / MICROSECONDS == counted(gaps, times, record.offset)


def counted(gaps: list[tuple[int, bool]], times: list[int], end: int) -> int:
    """The clock at a record in seconds, told the slow way."""
    first = next((n for n, (_, beats) in enumerate(gaps) if beats), len(gaps))
    moving = [times[n] for n in range(end + 1) if n <= first or gaps[n][1]]
    return sum(min(10, later - earlier) for earlier, later in pairwise(moving))
