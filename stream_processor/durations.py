"""Durations as people write them, `90s`, `5m`, `1h30m`, and as the pipeline keeps them: whole microseconds."""

import re
from typing import Final

from schemas.timestamps import MICROSECONDS

_UNITS: Final[dict[str, int]] = {
    "d": 86_400 * MICROSECONDS,
    "h": 3_600 * MICROSECONDS,
    "m": 60 * MICROSECONDS,
    "s": MICROSECONDS,
    "ms": MICROSECONDS // 1_000,
}
_FORM: Final = re.compile("".join(rf"(?:([0-9]{{1,9}}){unit})?" for unit in _UNITS))


def parse_duration(text: str) -> int | None:
    """Microseconds of `text`: numbers with the units d, h, m, s and ms, from the greatest to the least; `0` is zero.

    None where `text` is no duration.
    """
    if text == "0":
        return 0
    found = _FORM.fullmatch(text)
    if not text or found is None:
        return None
    return sum(int(count or 0) * unit for count, unit in zip(found.groups(), _UNITS.values(), strict=True))


def format_duration(micros: int) -> str:
    """The shortest text that `parse_duration` reads as `micros`, which is rounded down to milliseconds."""
    parts = []
    for name, unit in _UNITS.items():
        count, micros = divmod(micros, unit)
        if count:
            parts.append(f"{count}{name}")
    return "".join(parts) or "0s"
