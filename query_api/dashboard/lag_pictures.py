"""How far a consumer group was behind within the last hour, as the line of an SVG that needs no script."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from query_api.dashboard.records import LagCurve

HEIGHT: Final = 100
WIDTH: Final = 360
"""Units of the picture; ten seconds are one where it shows a whole hour."""


@dataclass(frozen=True)
class LagPicture:
    """The line, from when it is, and its highest points: records of all topics, seconds of the worst partition."""

    path: str
    since: datetime
    peak: int
    worst_seconds: float | None


def picture_of(group: str, history: Iterable[LagCurve]) -> LagPicture | None:
    """The picture of a group; None where nothing was seen twice."""
    curves = [curve for curve in history if curve.group == group]
    points = _summed(curves)
    if len(points) < 2:  # noqa: PLR2004 - a line needs two
        return None
    peak = max(lag for _, lag in points)
    seconds = [point.seconds for curve in curves for point in curve.points if point.seconds is not None]
    return LagPicture(_line(points, peak), points[0][0], peak, max(seconds, default=None))


def _summed(curves: Iterable[LagCurve]) -> list[tuple[datetime, int]]:
    """The records of all topics by time."""
    sums: dict[datetime, int] = {}
    for curve in curves:
        for point in curve.points:
            sums[point.at] = sums.get(point.at, 0) + point.lag
    return sorted(sums.items())


def _line(points: Sequence[tuple[datetime, int]], peak: int) -> str:
    start = points[0][0]
    length = (points[-1][0] - start).total_seconds() or 1.0
    steps = (
        f"{WIDTH * (at - start).total_seconds() / length:.1f},{HEIGHT - HEIGHT * lag / max(peak, 1):.1f}"
        for at, lag in points
    )
    return "M" + "L".join(steps)
