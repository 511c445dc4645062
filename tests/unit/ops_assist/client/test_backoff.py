"""How long a client waits."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_assist.client.backoff import Backoff, parse_retry_after

_NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
_JITTER = st.floats(0, 1, exclude_max=True)


def test_waits_double_up_to_the_longest() -> None:
    """Without jitter."""
    waits = [Backoff(first=1, longest=10).wait(failures, 0) for failures in range(1, 7)]
    assert waits == [1, 2, 4, 8, 10, 10]


@given(st.integers(1, 100_000), _JITTER, st.none() | st.floats(0, 60))
def test_it_neither_undercuts_what_was_asked_nor_exceeds_its_bound(
    failures: int, jitter: float, after: float | None
) -> None:
    """However long an outage lasts."""
    wait = Backoff().wait(failures, jitter, after)
    assert 0.1 <= wait <= max(30, 1.5 * (after or 0))
    assert wait >= (after or 0)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("3", 3.0),
        (" 0 ", 0.0),
        ("Tue, 24 Nov 2026 12:00:20 GMT", 20.0),
        ("Tue, 24 Nov 2026 11:00:00 GMT", 0.0),
        ("9" * 5_000, 999_999_999.0),
        ("soon", None),
        ("-1", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_a_number_or_a_date(header: str | None, seconds: float | None) -> None:
    """And anything else is as good as absent."""
    assert parse_retry_after(header, _NOW) == seconds
