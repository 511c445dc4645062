"""Which partitions of the events there must be, whatever day it is and whatever is there."""

from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from query_api.materializer.partitions import AHEAD_DAYS, BEFORE, OTHER, bounds, name_of, plan

DAYS = st.dates(date(2000, 1, 1), date(2100, 1, 1))
MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)).map(lambda moment: moment.replace(tzinfo=UTC))  # noqa: DTZ001


@given(MOMENTS, st.integers(1, 90), st.sets(DAYS, max_size=5))
def test_every_moment_within_the_retention_has_a_partition(now: datetime, days: int, there: set[date]) -> None:
    """Also the two days ahead, so that a materializer that is away does not matter at once."""
    wanted = plan([OTHER, *map(name_of, there)], now, days)

    present = ({name_of(day) for day in there} | {name_of(day) for day in wanted.create}) - set(wanted.drop)
    needed = {name_of((now + timedelta(days=shift)).date()) for shift in range(-days, AHEAD_DAYS + 1)}
    assert needed <= present
    assert not {name_of(day) for day in wanted.create} & {name_of(day) for day in there}


@given(MOMENTS, st.integers(1, 90), st.sets(DAYS, max_size=5))
def test_no_event_goes_before_its_time(now: datetime, days: int, there: set[date]) -> None:
    """A partition is dropped exactly when its last event has been kept for the retention; the others' never is."""
    wanted = plan([OTHER, *map(name_of, there)], now, days)

    for day in there:
        assert (name_of(day) in wanted.drop) == (bounds(day)[1] <= now - timedelta(days=days))
    assert OTHER not in wanted.drop


@given(MOMENTS, st.integers(1, 90), st.integers(-100, 3))
def test_what_was_there_before_there_were_days_holds_theirs(now: datetime, days: int, shift: int) -> None:
    """No day is made that it covers, every later one is; it goes as a whole when the last of it is old enough."""
    end = bounds((now + timedelta(days=shift)).date())[0]
    wanted = plan([OTHER, f"{BEFORE}{end:%Y%m%d}"], now, days)

    needed = {(now + timedelta(days=shift)).date() for shift in range(-days, AHEAD_DAYS + 1)}
    assert set(wanted.create) == {day for day in needed if bounds(day)[0] >= end}
    assert bool(wanted.drop) == (end <= now - timedelta(days=days))
