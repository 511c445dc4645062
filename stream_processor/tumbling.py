"""Tumbling windows: how many events of each level a service had in each minute of event time."""

from typing import Final

from schemas.incident import MinuteCount
from schemas.levels import LEVELS, Level
from schemas.timestamps import MICROSECONDS

MINUTE: Final = 60 * MICROSECONDS
KEPT_MINUTES: Final = 15

MinuteCounts = dict[int, int]
"""Counts by minute * 8 + level: one small flat dict a service, cheap to keep and to write."""

_SLOTS: Final = 8
_LEVEL_SLOT: Final[dict[Level, int]] = {level: slot for slot, level in enumerate(LEVELS)}


def count_event(counts: MinuteCounts, level: Level, time: int) -> None:
    """Count one event of `level` in the minute of its event time (microseconds)."""
    slot = time // MINUTE * _SLOTS + _LEVEL_SLOT[level]
    counts[slot] = counts.get(slot, 0) + 1


def forget_minutes(counts: MinuteCounts, newest: int) -> None:
    """Drop the minutes that lie `KEPT_MINUTES` or more before the newest event time."""
    oldest = (newest // MINUTE - KEPT_MINUTES + 1) * _SLOTS
    for slot in [slot for slot in counts if slot < oldest]:
        del counts[slot]


def minute_counts(counts: MinuteCounts) -> list[MinuteCount]:
    """The counts in order of time, for a record."""
    minutes: dict[int, dict[Level, int]] = {}
    for slot in sorted(counts):
        minutes.setdefault(slot // _SLOTS, {})[LEVELS[slot % _SLOTS]] = counts[slot]
    return [MinuteCount(minute, by_level) for minute, by_level in minutes.items()]
