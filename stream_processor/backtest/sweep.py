"""A rule with many thresholds and windows at once: what each would have given, and which is the knee."""

import re
from collections.abc import Iterable, Sequence
from itertools import product
from typing import Final, Literal, get_args

import msgspec

from schemas.timestamps import MICROSECONDS
from stream_processor.backtest.findings import Findings
from stream_processor.backtest.labels import Labels
from stream_processor.backtest.scores import Scores, score
from stream_processor.durations import format_duration, parse_duration
from stream_processor.rules import DAY, CountRule, RuleSet

AxisName = Literal["threshold", "window", "quiet_period"]
AXES: Final[tuple[AxisName, ...]] = get_args(AxisName)

MOST_CELLS: Final = 1_000
_MOST_STEPS: Final = 20
_MINUTE: Final = 60 * MICROSECONDS
_ROUND: Final = (
    *(n * MICROSECONDS for n in (1, 2, 5, 10, 15, 20, 30)),
    *(n * _MINUTE for n in (1, 2, 3, 5, 10, 15, 20, 30, 60, 120, 180, 360, 720)),
    DAY,
)
"""Durations that people choose; a range of durations takes those that lie within it."""
_FORM: Final = re.compile(r"(\w+)=(.+)")
_SPAN: Final = re.compile(r"([^./]+)\.\.([^./]+)(?:/([^./]+))?")


class InvalidSweep(ValueError):  # noqa: N818 - reads as what it is
    """A sweep that cannot be made; the text says what is taken."""


class Axis(msgspec.Struct, frozen=True):
    """What is changed and its values, in ascending order; durations in microseconds."""

    name: AxisName
    values: tuple[int, ...]

    def told(self, value: int) -> str:
        """A value as people write it."""
        return str(value) if self.name == "threshold" else format_duration(value)


class Grid(msgspec.Struct, frozen=True):
    """All combinations of the values of axes, and the set of rules of each, in the same order."""

    rule: str
    axes: tuple[Axis, ...]
    places: list[tuple[int, ...]]
    rule_sets: list[RuleSet]


class Cell(msgspec.Struct, frozen=True):
    """What one combination has led to. `place`: its values, axis by axis; `per_day`: incidents a day."""

    place: tuple[int, ...]
    incidents: int
    per_day: float
    near_misses: int
    scores: Scores | None = None


class Sweep(msgspec.Struct, frozen=True):
    """A grid with its outcome. `frontier`: cells that no other beats; `knee`: one of them; both by place in `cells`."""

    rule: str
    axes: tuple[Axis, ...]
    cells: list[Cell]
    frontier: list[int]
    knee: int | None


def looks_like_axis(text: str) -> bool:
    """Whether `text` is meant as an axis and not as the name of a file."""
    found = _FORM.fullmatch(text)
    return found is not None and found[1] in AXES


def parse_axis(text: str) -> Axis:
    """An axis as `threshold=2..20`, `threshold=5..50/5`, `window=1m..30m` or `window=1m,5m,10m`.

    Without a step a range of numbers takes at most 20 of them, one of durations its ends and the round ones between.

    Raises:
        InvalidSweep: it is none.
    """
    found = _FORM.fullmatch(text.strip())
    name = next((name for name in AXES if found and found[1] == name), None)
    if found is None or name is None:
        raise InvalidSweep(f"{text!r} is no axis, as threshold=2..20 or window=1m..30m; it can be {', '.join(AXES)}")
    span = _SPAN.fullmatch(found[2])
    values = _range(name, *span.groups()) if span else [_value(name, part) for part in found[2].split(",")]
    return Axis(name, tuple(sorted(set(values))))


def grid(rules: RuleSet, axes: Sequence[Axis], name: str = "") -> Grid:
    """All combinations for one rule of kind count, the others as they are. `name`: which, where there are several.

    Raises:
        InvalidSweep: it is not clear which rule, there are too many combinations, or no such rule could be written.
    """
    chosen = _chosen(rules, name)
    names = [axis.name for axis in axes]
    if not 1 <= len(axes) <= 2 or len(set(names)) < len(names):  # noqa: PLR2004 - what a page can draw
        raise InvalidSweep("a sweep has one or two axes, each of another name")
    places = list(product(*(axis.values for axis in axes)))
    if len(places) > MOST_CELLS:
        raise InvalidSweep(f"{len(places):,} combinations, more than {MOST_CELLS:,}: give steps, as threshold=2..50/4")
    return Grid(chosen.name, tuple(axes), places, [_changed(rules, chosen, names, place) for place in places])


def outcome(of: Grid, findings: Sequence[Findings], days: float, labels: Labels | None) -> Sweep:
    """What the combinations have led to. `days`: how long the events span."""
    cells = [
        Cell(
            place,
            len(found.incidents),
            round(len(found.incidents) / days, 4),
            len(found.near_misses),
            None if labels is None else score(found.incidents, labels),
        )
        for place, found in zip(of.places, findings, strict=True)
    ]
    frontier = _frontier(cells)
    return Sweep(of.rule, of.axes, cells, frontier, _knee(cells, frontier))


def days_between(first: int | None, last: int | None) -> float:
    """How many days events span (microseconds); at least one, so that an hour of events is not extrapolated."""
    return 1.0 if first is None or last is None else max(1.0, (last - first) / DAY)


def _frontier(cells: Sequence[Cell]) -> list[int]:
    """The cells to which no other has as many faults found with fewer incidents, by incidents. Empty without labels."""
    scored = [(cell.incidents, -cell.scores.found, number) for number, cell in enumerate(cells) if cell.scores]
    kept: list[int] = []
    most = -1
    for _, found, number in sorted(scored):
        if -found > most:
            most = -found
            kept.append(number)
    return kept


def _knee(cells: Sequence[Cell], frontier: Sequence[int]) -> int | None:
    """Where the frontier rises farthest above the straight line between its ends, both sides scaled to 0..1.

    This is Kneedle's difference curve (Satopaa, Albrecht, Irwin and Raghavan: Finding a "Kneedle" in a Haystack, 2011)
    without its smoothing: x the incidents, y the faults found, the knee at the greatest y - x. Of equals, the fewest
    incidents. None without labels: then nothing tells what is lost.
    """
    if not frontier:
        return None
    found = [cell.scores.found if (cell := cells[number]).scores else 0 for number in frontier]
    incidents = [cells[number].incidents for number in frontier]
    # Scaled to whole numbers, so that equals are equal: (y - y0) / height - (x - x0) / width, times height * width.
    height, width = found[-1] - found[0], incidents[-1] - incidents[0]
    rises = [(y - found[0]) * width - (x - incidents[0]) * height for x, y in zip(incidents, found, strict=True)]
    return frontier[rises.index(max(rises))]


def _chosen(rules: RuleSet, name: str) -> CountRule:
    counting = [rule for rule in rules.rules if isinstance(rule, CountRule)]
    fitting = [rule for rule in counting if name in ("", rule.name)]
    if len(fitting) != 1:
        told = ", ".join(rule.name for rule in counting) or "there is none"
        raise InvalidSweep(f"a sweep is of one rule of kind count: name it with --sweep-rule ({told})")
    return fitting[0]


def _changed(rules: RuleSet, chosen: CountRule, names: Sequence[AxisName], place: tuple[int, ...]) -> RuleSet:
    try:
        changed = msgspec.structs.replace(chosen, **dict(zip(names, place, strict=True)))
    except ValueError as error:
        raise InvalidSweep(str(error)) from error
    return RuleSet(tuple(changed if rule is chosen else rule for rule in rules.rules), rules.allowed_lateness)


def _range(name: AxisName, first: str, last: str, step: str | None) -> Iterable[int]:
    start, end = _value(name, first), _value(name, last)
    if end < start:
        raise InvalidSweep(f"{name}: {last} lies before {first}")
    if step is None and name != "threshold":
        return [start, *(value for value in _ROUND if start < value < end), end]
    width = -(-(end - start + 1) // _MOST_STEPS) if step is None else _value(name, step)
    if width < 1 or (end - start) // width >= MOST_CELLS:
        raise InvalidSweep(f"{name}: a step of {step} makes more than {MOST_CELLS:,} values")
    return [*range(start, end, width), end]


def _value(name: AxisName, text: str) -> int:
    value = (int(text) if text.isdecimal() else None) if name == "threshold" else parse_duration(text)
    least = 1 if name == "threshold" else 0
    if value is None or value < least:
        taken = "a number from 1" if name == "threshold" else "a duration, as 90s, 5m or 1h30m"
        raise InvalidSweep(f"{name}: {text!r} is not {taken}")
    return value
