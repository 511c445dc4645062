"""The Retry-After header (RFC 9110 section 10.2.3)."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

LONGEST: Final = 24 * 3_600.0
"""Seconds; a provider that asks for more is taken to mean this."""


def seconds_of(value: str, now: datetime | None = None) -> float | None:
    """Seconds to wait, from a number of seconds or a date; None where it is neither.

    Args:
        value: the header's value.
        now: default, the present time.
    """
    text = value.strip()
    try:
        seconds = float(text)
    except ValueError:
        seconds = _until(text, now or datetime.now(UTC))
    return min(max(seconds, 0.0), LONGEST) if seconds == seconds else None  # noqa: PLR0124 - NaN


def _until(text: str, now: datetime) -> float:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return float("nan")
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds()
