"""Rates and curves of lag, from what was seen before."""

import pytest

from runtime.lag.history import LagHistory, Point, Trend
from runtime.lag.offsets import Lag
from runtime.lag.words import rate_in_words, span_in_words


def row(current: int, end: int, *, partition: int = 0, seconds: float | None = 0.0) -> Lag:
    return Lag("g", "t", partition, current, end, end - current, seconds)


def test_one_look_tells_no_rate() -> None:
    """It is caught up where nothing is left, and else nobody knows when."""
    history = LagHistory()
    history.take(0, [row(5, 5), row(5, 9, partition=1)])

    assert history.trend(row(5, 5)) == Trend(None, None, 0.0)
    assert history.trend(row(5, 9, partition=1)) == Trend(None, None, None)


def test_rates_are_those_of_the_last_minute() -> None:
    """What was longer ago counts no more."""
    history = LagHistory()
    for at in range(0, 300, 10):
        history.take(at, [row(0, 1_000)])
    for at in range(300, 370, 10):
        history.take(at, [row(10 * (at - 300), 1_000 + (at - 300))])

    assert history.trend(row(600, 1_060)) == Trend(1.0, 10.0, 51.1)


def test_who_does_not_gain_never_catches_up() -> None:
    """Nobody says when it will be done then."""
    history = LagHistory()
    history.take(0, [row(0, 10)])
    history.take(10, [row(50, 100)])

    assert history.trend(row(50, 100)) == Trend(9.0, 5.0, None)


def test_an_offset_that_goes_back_is_no_negative_rate() -> None:
    """As after a topic is made anew or a group is set back."""
    history = LagHistory()
    history.take(0, [row(90, 100)])
    history.take(10, [row(0, 20)])

    assert history.trend(row(0, 20)) == Trend(0.0, 0.0, None)


def test_curves_hold_an_hour_of_sums_by_group_and_topic() -> None:
    """The records of all partitions and the seconds of the worst, a point every thirty seconds."""
    history = LagHistory()
    for at in range(0, 7_200, 10):
        history.take(at, [row(0, 3, seconds=2.0), row(0, 4, partition=1, seconds=5.0)])

    points = history.curves()["g", "t"]

    assert points[-1] == Point(7_170, 7, 5.0)
    assert points[0].at >= 7_170 - 3_600
    assert len(points) == 121


def test_seconds_that_nobody_knows_are_not_shown_as_few() -> None:
    """One unknown partition makes the worst unknown."""
    history = LagHistory()
    history.take(0, [row(0, 3, seconds=2.0), row(0, 4, partition=1, seconds=None)])

    assert history.curves()["g", "t"] == [Point(0, 7, None)]


def test_a_group_that_is_gone_leaves_the_curves_within_the_hour() -> None:
    """Nothing is kept for ever."""
    history = LagHistory()
    history.take(0, [row(0, 3)])
    history.take(3_700, [])

    assert history.curves() == {}


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "?"), (0, "0.0 s"), (0.0427, "43 ms"), (59.94, "59.9 s"), (90, "1.5 min"), (5_400, "1.5 h")],
)
def test_spans_are_told_in_one_unit(seconds: float | None, words: str) -> None:
    """Seconds, minutes or hours."""
    assert span_in_words(seconds) == words


def test_rates_have_one_decimal() -> None:
    """And a comma between thousands."""
    assert (rate_in_words(1_204.46), rate_in_words(None)) == ("1,204.5", "?")
