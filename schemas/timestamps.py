"""Time as the pipeline keeps it: whole microseconds since 1970-01-01T00:00:00Z, exact and quick to compare."""

import re
import time
from datetime import UTC, datetime, timedelta
from typing import Final

MICROSECONDS: Final = 1_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_SECONDS: Final = 86_400
_SECOND: Final = timedelta(seconds=1)
_SIXTIETH: Final = re.compile(r"(.{16}):60(\.\d{1,9})?(Z|[+-]\d\d:?\d\d)", re.ASCII)


def now_micros() -> int:
    """The wall clock, in microseconds since the epoch."""
    return time.time_ns() // 1_000


def to_micros(moment: datetime) -> int:
    """Microseconds since the epoch of an aware datetime."""
    since = moment - _EPOCH  # its parts are quicker to put together than it is to divide
    return (since.days * _DAY_SECONDS + since.seconds) * MICROSECONDS + since.microseconds


EARLIEST: Final = to_micros(datetime.min.replace(tzinfo=UTC))
"""The first moment that a datetime in UTC can hold."""


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


def from_leap_second(text: str) -> datetime | None:
    """The moment of an RFC 3339 text that names a leap second, as 2016-12-31T23:59:60Z, which datetime cannot hold.

    It is taken for the second after it, as POSIX time does. None where `text` is no such time: a leap second is the
    last one of a month in UTC (ITU-R TF.460-6, section 2.1).
    """
    found = _SIXTIETH.fullmatch(text.upper())
    if found is None:
        return None
    start, fraction, offset = found.groups()
    try:
        after = (datetime.fromisoformat(f"{start}:59{offset}") + _SECOND).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    if (after.day, after.hour, after.minute, after.second) != (1, 0, 0, 0):
        return None
    return after + timedelta(microseconds=round(float(fraction or 0) * MICROSECONDS))
