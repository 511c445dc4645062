"""Rates and curves of lag, made of what was seen before. Pure: times come in, in seconds since the epoch."""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from runtime.lag.offsets import Lag

HOUR: Final = 3_600.0
STEP: Final = 30.0
"""So far apart are the points of a curve at least."""
RECENT: Final = 60.0
"""Rates are those of the last minute."""

Key = tuple[str, str, int]


class Trend(msgspec.Struct, frozen=True):
    """How fast a partition grows and a group works it off, in records a second.

    `seconds_to_catch_up`: 0 where nothing is left to do; None where it is unknown or, at this rate, never.
    """

    rate_in: float | None = None
    rate_out: float | None = None
    seconds_to_catch_up: float | None = None


class Point(msgspec.Struct, frozen=True):
    """How far a group was behind in a topic: records of all partitions, and the seconds of the worst."""

    at: float
    lag: int
    seconds: float | None


class _Seen(msgspec.Struct, frozen=True):
    at: float
    offsets: dict[Key, tuple[int, int]]
    """Current and end."""


class LagHistory:
    """What was seen within the last hour."""

    def __init__(self, keep: float = HOUR, step: float = STEP, recent: float = RECENT) -> None:
        """Args in seconds: how long points are kept, how far apart they are, and what rates are taken over."""
        self._keep, self._step, self._recent = keep, step, recent
        self._seen: deque[_Seen] = deque()
        self._points: dict[tuple[str, str], deque[Point]] = {}
        self._next_point = float("-inf")

    def take(self, at: float, rows: Sequence[Lag]) -> None:
        """Remember how it is `at` a time, which must not be before the one of the last call."""
        self._seen.append(_Seen(at, {_key(row): (row.current, row.end) for row in rows}))
        while len(self._seen) > 2 and self._seen[1].at <= at - self._recent:  # noqa: PLR2004 - a rate needs two
            self._seen.popleft()
        if at >= self._next_point:
            self._next_point = at + self._step
            self._add_points(at, rows)

    def trend(self, row: Lag) -> Trend:
        """How fast it goes, from the oldest to the newest that is kept of the last minute."""
        before = next((seen for seen in self._seen if _key(row) in seen.offsets), None)
        last = self._seen[-1] if self._seen else None
        if before is None or last is None or last.at <= before.at:
            return Trend(seconds_to_catch_up=None if row.lag else 0.0)
        took = last.at - before.at
        current, end = before.offsets[_key(row)]
        rate_in, rate_out = max(0, row.end - end) / took, max(0, row.current - current) / took
        return Trend(round(rate_in, 3), round(rate_out, 3), _catching_up(row.lag, rate_out - rate_in))

    def curves(self) -> dict[tuple[str, str], list[Point]]:
        """The last hour of each group and topic."""
        return {key: list(points) for key, points in sorted(self._points.items())}

    def _add_points(self, at: float, rows: Iterable[Lag]) -> None:
        for key, point in _sums(at, rows).items():
            self._points.setdefault(key, deque()).append(point)
        for key, points in list(self._points.items()):
            while points and points[0].at < at - self._keep:
                points.popleft()
            if not points:
                del self._points[key]


def _key(row: Lag) -> Key:
    return row.group, row.topic, row.partition


def _catching_up(lag: int, gained: float) -> float | None:
    if not lag:
        return 0.0
    return round(lag / gained, 1) if gained > 0 else None


def _sums(at: float, rows: Iterable[Lag]) -> dict[tuple[str, str], Point]:
    found: dict[tuple[str, str], Point] = {}
    for row in rows:
        known = found.get((row.group, row.topic), Point(at, 0, 0.0))
        found[row.group, row.topic] = Point(at, known.lag + row.lag, _worst(known.seconds, row.seconds))
    return found


def _worst(one: float | None, other: float | None) -> float | None:
    """The greater; None where one of them is not known."""
    return None if one is None or other is None else max(one, other)
