"""Which partitions of `events` there must be and which may go: one for each UTC day of receipt."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

AHEAD_DAYS: Final = 2
"""How many days before they begin partitions are made: a materializer that is away for so long changes nothing."""

OTHER: Final = "events_other"
"""The partition of whatever no day's partition takes: receipts long ago or in the future, by a broker's wrong clock."""

_FORMAT: Final = "events_%Y%m%d"

BEFORE: Final = "events_before_"
"""How the partition begins that holds what was there before there were days; then comes the day at which it ends."""


@dataclass(frozen=True)
class Plan:
    """What to do to the partitions; `cutoff`: events received before it are beyond the retention."""

    create: tuple[date, ...]
    drop: tuple[str, ...]
    cutoff: datetime


def plan(existing: Collection[str], now: datetime, retention_days: int) -> Plan:
    """Days within the retention and just ahead get a partition; one goes when its last event has been kept long enough.

    Args:
        existing: the names of the partitions that there are.
        now: aware, in UTC.
        retention_days: how many days an event is kept after its receipt, at least 1.
    """
    today, cutoff = now.date(), now - timedelta(days=retention_days)
    wanted = (cutoff.date() + timedelta(days=n) for n in range((today - cutoff.date()).days + AHEAD_DAYS + 1))
    ends = dict(_ends(existing))
    before = max((end for name, end in ends.items() if name.startswith(BEFORE)), default=None)
    return Plan(
        create=tuple(day for day in wanted if name_of(day) not in ends and not (before and bounds(day)[1] <= before)),
        drop=tuple(sorted(name for name, end in ends.items() if end <= cutoff)),
        cutoff=cutoff,
    )


def name_of(day: date) -> str:
    """The name of a day's partition."""
    return day.strftime(_FORMAT)


def bounds(day: date) -> tuple[datetime, datetime]:
    """The first moment of a day and that of the next, in UTC."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return start, start + timedelta(days=1)


def _ends(names: Collection[str]) -> Iterator[tuple[str, datetime]]:
    for name in names:
        if name.startswith(BEFORE):
            yield name, datetime.strptime(name, f"{BEFORE}%Y%m%d").replace(tzinfo=UTC)
        elif name != OTHER:
            yield name, bounds(datetime.strptime(name, _FORMAT).replace(tzinfo=UTC).date())[1]
