"""Rates as pictures: nothing is lost, nothing stands outside, and the same is said in words."""

import re
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query_api.dashboard.charts import HEIGHT, Chart, chart, in_words, last_minutes, spark
from query_api.dashboard.records import MinuteView
from query_api.dashboard.service_api import Span
from schemas.levels import LEVELS

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

minutes = st.lists(
    st.builds(
        MinuteView,
        st.integers(-5, 1_500).map(lambda number: START + number * MINUTE),
        st.dictionaries(st.sampled_from(LEVELS), st.integers(1, 10**6), max_size=6),
    ),
    max_size=30,
)


def span(length: int) -> Span:
    """So many minutes from the start."""
    return Span(START, START + length * MINUTE)


def total(picture: Chart) -> int:
    """All events of a chart."""
    return sum(picture.totals.values())


@given(minutes, st.integers(1, 1_440))
def test_chart_holds_every_event_of_its_span(given_minutes: list[MinuteView], length: int) -> None:
    """By level, whatever the width of its columns; the columns fill the height of the greatest and no more."""
    picture = chart(given_minutes, span(length))

    expected: Counter[str] = Counter()
    for item in given_minutes:
        if START <= item.minute < START + length * MINUTE:
            expected.update(item.by_level)
    assert picture.totals == dict(expected)
    assert len(picture.columns) == picture.width <= 90
    assert picture.width * picture.step >= length
    for column in picture.columns:
        assert all(-0.1 <= block.y <= block.y + block.height <= HEIGHT + 0.1 for block in column.blocks)
    if expected:
        highest = max(sum(block.height for block in column.blocks) for column in picture.columns)
        assert highest == pytest.approx(HEIGHT, abs=0.1)


@given(minutes)
def test_spark_is_what_its_words_say(given_minutes: list[MinuteView]) -> None:
    """One column for each minute that had a severe event."""
    inside = [item for item in given_minutes if START <= item.minute < START + 60 * MINUTE]
    counts: Counter[datetime] = Counter()
    for item in inside:
        counts[item.minute] += sum(item.by_level.get(level, 0) for level in ("ERROR", "CRITICAL", "FATAL"))

    picture = spark(given_minutes, span(60))

    assert picture.total == counts.total()
    assert picture.peak == max(counts.values(), default=0)
    assert picture.path.count("M") == sum(1 for count in counts.values() if count)
    assert all(0 <= float(top) <= HEIGHT for top in re.findall(r"V([\d.]+)h", picture.path))


def test_worst_level_stands_on_the_ground() -> None:
    """What matters most is compared most easily; the words are in the same order."""
    picture = chart([MinuteView(START, {"INFO": 6, "ERROR": 3, "FATAL": 1})], span(1))

    (column,) = picture.columns
    assert [(block.level, block.y, block.height) for block in column.blocks] == [
        ("FATAL", 90.0, 10.0),
        ("ERROR", 60.0, 30.0),
        ("INFO", 0.0, 60.0),
    ]
    assert column.title == "12:00: 1 FATAL, 3 ERROR, 6 INFO"


def test_marked_stretch_is_cut_to_the_chart() -> None:
    """A window that begins before or ends after it is marked as far as it shows; one beside it not at all."""
    inside = chart([], span(60), Span(START + 10 * MINUTE, START + 15 * MINUTE)).band
    over = chart([], span(60), Span(START - MINUTE, START + 99 * MINUTE)).band
    beside = chart([], span(60), Span(START - 5 * MINUTE, START)).band

    assert inside is not None
    assert (inside.x, inside.width) == (10, 5)
    assert over is not None
    assert (over.x, over.width) == (0, 60)
    assert beside is None


def test_last_minutes_are_whole() -> None:
    """The one that is under way is the last."""
    found = last_minutes(START + timedelta(seconds=30), 60)

    assert (found.since, found.until) == (START - 59 * MINUTE, START + MINUTE)


def test_no_event_has_words_too() -> None:
    """Silence is said."""
    assert in_words({}) == in_words({"ERROR": 0}) == "no events"
    assert total(chart([], span(5))) == 0
