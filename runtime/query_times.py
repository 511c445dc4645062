"""A point in time as a query parameter takes it, the same for every service."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import AfterValidator, AwareDatetime, BeforeValidator

_SPACE_BEFORE_OFFSET: Final = re.compile(r" (?=\d\d:?\d\d$)")


def absent_if_empty(value: Any) -> Any:
    """A form sends its empty fields too."""
    return None if value == "" else value


def _plus_restored(value: Any) -> Any:
    """An unescaped `+` of an offset arrives as a space."""
    return _SPACE_BEFORE_OFFSET.sub("+", value) if isinstance(value, str) else value


def _in_utc(value: datetime | None) -> datetime | None:
    try:
        return value.astimezone(UTC) if value else None
    except OverflowError as error:
        raise ValueError("lies outside the years 1 to 9999") from error


MomentAsked = Annotated[
    AwareDatetime | None,
    AfterValidator(_in_utc),
    BeforeValidator(_plus_restored),
    BeforeValidator(absent_if_empty),
]
"""RFC 3339 with offset, in UTC; None where it is left out or empty."""
