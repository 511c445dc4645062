"""Time as the pipeline keeps it: whole microseconds since 1970-01-01T00:00:00Z, exact and quick to compare."""

from datetime import UTC, datetime, timedelta
from typing import Final

MICROSECONDS: Final = 1_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def to_micros(moment: datetime) -> int:
    """Microseconds since the epoch of an aware datetime."""
    return (moment - _EPOCH) // _MICROSECOND


def to_datetime(micros: int) -> datetime:
    """The aware UTC datetime of `micros` microseconds since the epoch."""
    return _EPOCH + timedelta(microseconds=micros)


def to_rfc3339(micros: int) -> str:
    """RFC 3339 in UTC with six decimals and a Z, as `2023-01-29T08:42:22.383150Z`."""
    return to_datetime(micros).strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")


def from_rfc3339(text: str) -> int:
    """Microseconds since the epoch of an RFC 3339 text with offset.

    Raises:
        ValueError: where `text` is no such time or names no offset.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no offset; write it as 2023-01-29T08:42:22Z")
    return to_micros(moment)
