"""Counts by minute of event time and level, of the last quarter of an hour."""

from schemas.incident import MinuteCount
from schemas.levels import LEVELS
from stream_processor.tumbling import KEPT_MINUTES, MINUTE, MinuteCounts, count_event, forget_minutes, minute_counts


def test_a_minute_holds_its_first_microsecond_and_not_the_next_minutes() -> None:
    """Windows tumble at whole minutes of event time."""
    counts: MinuteCounts = {}

    for time in (7 * MINUTE - 1, 7 * MINUTE, 8 * MINUTE - 1, 8 * MINUTE):
        count_event(counts, "ERROR", time)

    assert minute_counts(counts) == [
        MinuteCount(6, {"ERROR": 1}),
        MinuteCount(7, {"ERROR": 2}),
        MinuteCount(8, {"ERROR": 1}),
    ]


def test_levels_are_counted_apart_and_told_in_order_of_time() -> None:
    """Whatever the order of arrival, before 1970 too."""
    counts: MinuteCounts = {}

    for minute in (5, -3, 5):
        for level in LEVELS:
            count_event(counts, level, minute * MINUTE)

    assert minute_counts(counts) == [
        MinuteCount(-3, dict.fromkeys(LEVELS, 1)),
        MinuteCount(5, dict.fromkeys(LEVELS, 2)),
    ]


def test_fifteen_minutes_are_kept_the_newest_included() -> None:
    """The minute that lies fifteen before the newest goes, the one after it stays."""
    counts: MinuteCounts = {}
    for minute in range(100):
        count_event(counts, "DEBUG", minute * MINUTE)
        count_event(counts, LEVELS[-1], minute * MINUTE)

    forget_minutes(counts, 99 * MINUTE + 30_000_000)

    assert [entry.minute for entry in minute_counts(counts)] == list(range(100 - KEPT_MINUTES, 100))
    assert all(len(entry.by_level) == 2 for entry in minute_counts(counts))
