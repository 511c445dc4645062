"""What the formats share: foreign values brought to the fields of an event, so that a long text costs no event."""

import base64
import json
import math
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from ingest_gateway import refusal
from schemas.event import MAX_ATTRIBUTES, MAX_MESSAGE, Attributes
from schemas.levels import Level
from schemas.timestamps import from_leap_second

_CUT: Final = " ... (cut)"
_MOST_ATTRIBUTE: Final = 8_192
"""Characters of an attribute's value that are kept."""
SYSLOG_LEVELS: Final[tuple[Level, ...]] = (
    "FATAL", "CRITICAL", "CRITICAL", "ERROR", "WARNING", "INFO", "INFO", "DEBUG",
)  # fmt: skip
"""By severity, 0 to 7 (RFC 5424 table 2): emergency, alert, critical, error, warning, notice, informational, debug."""


def parse_json(body: bytes) -> Any:
    """The value of a body.

    Raises:
        Refusal: 400 where it is no JSON.
    """
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise refusal.malformed(f"The body is not valid JSON: {error}") from error


def as_message(text: str, otherwise: str) -> str:
    """The message of an event: `otherwise` where there is no text, cut where it is too long for an event."""
    return cut(text if text.strip() else otherwise, MAX_MESSAGE)


def cut(text: str, most: int) -> str:
    """At most `most` characters of a text; where some are missing, it says so."""
    return text if len(text) <= most else text[: most - len(_CUT)] + _CUT


def as_text(value: Any) -> str:
    """A value of JSON as text: a string is itself."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def time_of(text: str) -> datetime | None:
    """The time of an RFC 3339 text; one without an offset is taken for UTC. None: it is no such text."""
    written = text.strip().replace(",", ".")
    try:
        moment = from_leap_second(written) or datetime.fromisoformat(written)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def attributes_of(pairs: Iterable[tuple[str, Any]]) -> Attributes | None:
    """The first `MAX_ATTRIBUTES` of some attributes that are not None; what is no plain value is kept as its JSON."""
    kept: Attributes = {}
    for name, value in pairs:
        if value is None or name in kept:
            continue
        if len(kept) == MAX_ATTRIBUTES:
            break
        kept[name] = _plain(value)
    return kept or None


def _plain(value: Any) -> str | int | float | bool:
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, bool | int):
        return value
    if isinstance(value, bytes):
        value = base64.b64encode(value).decode()
    return cut(as_text(value), _MOST_ATTRIBUTE)
