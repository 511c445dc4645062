"""A point in time as a query parameter takes it, the same for every service."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, WithJsonSchema

_SPACE_BEFORE_OFFSET: Final = re.compile(r" (?=\d\d:?\d\d$)")

_NUMBER: Final = re.compile(r"[-+]?[\d_.]+(e[-+]?\d+)?", re.IGNORECASE)


def absent_if_empty(value: Any) -> Any:
    """A form sends its empty fields too."""
    return None if value == "" else value


def _no_number(value: Any) -> Any:
    """A number would pass for seconds since the epoch, which nobody who writes times means."""
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        raise ValueError("expected a time with offset (RFC 3339)")
    return value


def _plus_restored(value: Any) -> Any:
    """An unescaped `+` of an offset arrives as a space."""
    return _SPACE_BEFORE_OFFSET.sub("+", value) if isinstance(value, str) else value


def _in_utc(value: datetime | None) -> datetime | None:
    try:
        return value.astimezone(UTC) if value else None
    except OverflowError as error:
        raise ValueError("lies outside the years 1 to 9999") from error


_SCHEMA: Final = {
    "anyOf": [{"type": "string", "format": "date-time"}, {"type": "string", "maxLength": 0}, {"type": "null"}]
}

MomentAsked = Annotated[
    AwareDatetime | None,
    AfterValidator(_in_utc),
    BeforeValidator(_plus_restored),
    BeforeValidator(_no_number),
    BeforeValidator(absent_if_empty),
    WithJsonSchema(_SCHEMA),
]
"""RFC 3339 with offset, in UTC; None where it is left out or empty."""
