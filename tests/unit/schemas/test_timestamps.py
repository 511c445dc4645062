"""Times: whole microseconds there and back, leap seconds included."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.timestamps import (
    EARLIEST,
    from_leap_second,
    from_rfc3339,
    to_datetime,
    to_micros,
    to_rfc3339,
)


@given(st.datetimes(timezones=st.just(UTC)))
def test_micros_and_text_there_and_back(moment: datetime) -> None:
    """Exactly, for every moment that a datetime in UTC holds."""
    micros = to_micros(moment)
    assert to_datetime(micros) == moment
    assert from_rfc3339(to_rfc3339(micros)) == micros
    assert len(to_rfc3339(micros)) == 27


@given(st.datetimes(timezones=st.just(UTC)), st.datetimes(timezones=st.just(UTC)))
def test_text_sorts_as_time_does(one: datetime, other: datetime) -> None:
    """All texts have the same length and the same offset."""
    assert (to_rfc3339(to_micros(one)) < to_rfc3339(to_micros(other))) == (one < other)


def test_the_earliest_moment_is_the_first_of_the_calendar() -> None:
    """Nothing before it can be written as RFC 3339."""
    assert to_rfc3339(EARLIEST) == "0001-01-01T00:00:00.000000Z"
    with pytest.raises(OverflowError):
        to_rfc3339(EARLIEST - 1)


def test_a_time_without_offset_is_refused() -> None:
    """Nobody can know when it was."""
    with pytest.raises(ValueError, match="no offset"):
        from_rfc3339("2023-01-29T08:42:22")


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("2016-12-31T23:59:60Z", timedelta()),
        ("2016-12-31T23:59:60.25Z", timedelta(milliseconds=250)),
        ("2016-12-31T18:59:60-05:00", timedelta()),
        ("2017-01-01T08:59:60+0900", timedelta()),
        ("2016-12-31t23:59:60.000001z", timedelta(microseconds=1)),
    ],
)
def test_a_leap_second_is_the_second_after_it(text: str, after: timedelta) -> None:
    """As in POSIX time; the fraction stays."""
    assert from_leap_second(text) == datetime(2017, 1, 1, tzinfo=UTC) + after


@pytest.mark.parametrize(
    "text",
    [
        "2016-12-31T23:59:59Z",
        "2016-12-31T23:59:61Z",
        "2016-12-30T23:59:60Z",
        "2016-12-31T23:58:60Z",
        "2016-12-31T23:59:60",
        "2016-12-31T23:59:60+99:00",
        "9999-12-31T23:59:60Z",
        "not-a-time-at-al:60Z",
        "",
    ],
)
def test_what_is_no_leap_second_is_none(text: str) -> None:
    """It is the last second of a month in UTC, and nothing else."""
    assert from_leap_second(text) is None
