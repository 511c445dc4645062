"""Durations of rule files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_processor.durations import format_duration, parse_duration

SECOND = 1_000_000


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("90s", 90 * SECOND),
        ("5m", 300 * SECOND),
        ("1h", 3_600 * SECOND),
        ("1h30m", 5_400 * SECOND),
        ("1d2h3m4s5ms", 93_784_005_000),
        ("250ms", 250_000),
        ("0", 0),
        ("0s", 0),
    ],
)
def test_a_duration_is_numbers_with_units(text: str, micros: int) -> None:
    """Days, hours, minutes, seconds and milliseconds, alone or together."""
    assert parse_duration(text) == micros


@pytest.mark.parametrize(
    "text", ["", "5", "5 m", "m", "-5m", "1.5h", "5M", "1m1h", "5m5m", "5min", "\u0665m", "5m\n", "9999999999s"]
)
def test_anything_else_is_no_duration(text: str) -> None:
    """No unit, two of the same, units from the least to the greatest, signs, fractions, digits of other scripts."""
    assert parse_duration(text) is None


@given(millis=st.integers(0, 10**12))
def test_what_is_written_is_read_back(millis: int) -> None:
    """Every whole number of milliseconds survives the way out and in."""
    assert parse_duration(format_duration(millis * 1_000)) == millis * 1_000


@given(text=st.text(alphabet="0123456789dhms .-", max_size=12))
def test_what_is_read_is_written_to_the_same_length(text: str) -> None:
    """A text either is no duration or one that its shortest form equals."""
    micros = parse_duration(text)
    assert micros is None or parse_duration(format_duration(micros)) == micros
