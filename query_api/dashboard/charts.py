"""Rates as pictures: events by minute to the coordinates of SVG, computed here so that no script need draw them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from query_api.dashboard.records import MinuteView
from query_api.dashboard.service_api import Span
from schemas.levels import LEVELS

HEIGHT: Final = 100.0
"""Height of every picture in its own units; columns are one unit wide."""

SEVERE: Final = ("ERROR", "CRITICAL", "FATAL")
_MINUTE: Final = timedelta(minutes=1)
_STEPS: Final = (1, 2, 5, 10, 15, 30, 60)  # minutes a column
_MAX_COLUMNS: Final = 90
_LABELS: Final = 4  # intervals between labels of the time axis
_GAP: Final = 0.15  # between columns

Totals = dict[str, int]


@dataclass(frozen=True)
class Block:
    """The events of one level in one column."""

    level: str
    y: float
    height: float


@dataclass(frozen=True)
class Column:
    """One stretch of time: what stands in it, and in words."""

    x: float
    title: str
    blocks: list[Block]


@dataclass(frozen=True)
class Band:
    """A stretch of time that is marked."""

    x: float
    width: float


@dataclass(frozen=True)
class Chart:
    """Stacked columns over a span of time. `peak` is the greatest number of events in a column of `step` minutes."""

    columns: list[Column]
    width: int
    peak: int
    step: int
    labels: list[datetime]
    totals: Totals
    band: Band | None = None


@dataclass(frozen=True)
class Spark:
    """The events of a span as one path, and the same in words."""

    path: str
    width: int
    total: int
    peak: int


def last_minutes(now: datetime, count: int) -> Span:
    """The last `count` minutes, the one that is under way included."""
    until = now.replace(second=0, microsecond=0) + _MINUTE
    return Span(until - count * _MINUTE, until)


def chart(minutes: Iterable[MinuteView], span: Span, marked: Span | None = None) -> Chart:
    """Columns by level, with a stretch marked."""
    step = _step(span)
    columns = _in_columns(minutes, span, step)
    peak = max((sum(column.values()) for column in columns), default=0)
    return Chart(
        [_column(index, column, span, step, peak) for index, column in enumerate(columns)],
        len(columns),
        peak,
        step,
        _labels(span),
        _totals(columns),
        _band(span, step, marked, len(columns)) if marked else None,
    )


def spark(minutes: Iterable[MinuteView], span: Span, levels: Sequence[str] = SEVERE) -> Spark:
    """The events of some levels by minute, each column as high as it is busy."""
    counts = [sum(column.get(level, 0) for level in levels) for column in _in_columns(minutes, span, 1)]
    peak = max(counts, default=0)
    # One decimal is finer than a screen; a minute with any event shows.
    path = "".join(
        f"M{index} {HEIGHT:g}V{HEIGHT - max(8, HEIGHT * count / peak):.0f}h{1 - _GAP}V{HEIGHT:g}z"
        for index, count in enumerate(counts)
        if count
    )
    return Spark(path, len(counts), sum(counts), peak)


def _step(span: Span) -> int:
    length = (span.until - span.since) // _MINUTE
    return next((step for step in _STEPS if length <= step * _MAX_COLUMNS), _STEPS[-1])


def _in_columns(minutes: Iterable[MinuteView], span: Span, step: int) -> list[Totals]:
    length = (span.until - span.since) // _MINUTE
    columns: list[Totals] = [{} for _ in range(-(-length // step))]
    for item in minutes:
        if span.since <= item.minute < span.until:
            column = columns[(item.minute - span.since) // _MINUTE // step]
            for level, events in item.by_level.items():
                column[level] = column.get(level, 0) + events
    return columns


def _column(index: int, column: Totals, span: Span, step: int, peak: int) -> Column:
    blocks, top = [], HEIGHT
    for level in _worst_first(column):
        height = HEIGHT * column[level] / peak
        top -= height
        blocks.append(Block(level, round(top, 2), round(height, 2)))
    start = span.since + index * step * _MINUTE
    return Column(index + _GAP / 2, f"{start:%H:%M}: {in_words(column)}", blocks)


def in_words(totals: Mapping[str, int]) -> str:
    """How many events of which level: `5 ERROR, 2 INFO`."""
    return ", ".join(f"{totals[level]:,} {level}" for level in _worst_first(totals)) or "no events"


def _worst_first(totals: Mapping[str, int]) -> list[str]:
    return [level for level in reversed(LEVELS) if totals.get(level)]


def _totals(columns: Iterable[Totals]) -> Totals:
    found: Totals = {}
    for column in columns:
        for level, events in column.items():
            found[level] = found.get(level, 0) + events
    return {level: found[level] for level in _worst_first(found)}


def _labels(span: Span) -> list[datetime]:
    part = (span.until - span.since) / _LABELS
    return [span.since + index * part for index in range(_LABELS + 1)]


def _band(span: Span, step: int, marked: Span, width: int) -> Band | None:
    def x(moment: datetime) -> float:
        return min(max((moment - span.since) / _MINUTE / step, 0), width)

    left, right = x(marked.since), x(marked.until)
    return Band(round(left, 2), round(right - left, 2)) if right > left else None
