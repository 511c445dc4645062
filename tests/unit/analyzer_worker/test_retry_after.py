"""The pause that a provider asks for."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer_worker.retry_after import LONGEST, seconds_of

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7),
        (" 0.5 ", 0.5),
        ("-3", 0),
        ("1e9", LONGEST),
        ("Tue, 24 Nov 2026 12:00:30 GMT", 30),
        ("Tue, 24 Nov 2026 11:00:00 GMT", 0),
        ("soon", None),
        ("nan", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float | None) -> None:
    """Bounded, and None where it is neither."""
    assert seconds_of(value, NOON) == seconds


@given(st.text())
def test_no_header_breaks_the_reader(value: str) -> None:
    """Whatever a provider sends."""
    seconds = seconds_of(value, NOON)
    assert seconds is None or 0 <= seconds <= LONGEST
