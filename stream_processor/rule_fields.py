"""The fields of one rule in a file: which there are for its kind, what each takes, and the rule that they make."""

from collections.abc import Callable
from typing import Final, get_args

import msgspec

from schemas.analysis import SEVERITIES, Severity
from schemas.levels import ALIASES, LEVELS, Level, fold_level
from schemas.timestamps import MICROSECONDS
from stream_processor.log_clock import MOST_GAP
from stream_processor.matching import EVERY_EVENT, AttributeValue, InvalidPattern, Match, check_pattern
from stream_processor.rules import (
    DAY,
    DEFAULT_LEVELS,
    AbsenceRule,
    CountRule,
    Kind,
    PatternRule,
    RateRule,
    RatioRule,
    Rule,
)
from stream_processor.yaml_nodes import Value

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

_SECOND: Final = MICROSECONDS
_MINUTE: Final = 60 * _SECOND
_HOUR: Final = 60 * _MINUTE
_YEAR: Final = 365 * DAY
_MOST_COUNT: Final = 10_000
_MOST_FLOOR: Final = 1_000_000
_MOST_BASELINE: Final = 1_440
_SHORTEST_SILENCE: Final = 2 * MOST_GAP
"""An outage counts as `MOST_GAP` of silence: it must not be enough on its own."""
_MOST_NAME: Final = 64
_NAME_CHARACTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")

_COMMON: Final = {
    "name": f"1 to {_MOST_NAME} of a-z, 0-9 and -",
    "kind": " or ".join(KINDS),
    "match": "which events qualify",
    "severity_floor": " or ".join(SEVERITIES),
    "allowed_lateness": "a duration from 0s to 1d, as 10m",
    "shadow": "true for a rule on trial, else false",
}
_WINDOW: Final = {"window": "a duration from 1s to 1d, as 5m"}
_THRESHOLD: Final = {"threshold": f"a whole number from 1 to {_MOST_COUNT}"}
_QUIET: Final = {"quiet_period": "a duration from 0s (never) to 365d, as 1h"}
_FIELDS: Final[dict[Kind, dict[str, str]]] = {
    "count": {**_COMMON, **_WINDOW, **_THRESHOLD, **_QUIET},
    "rate": {
        **_COMMON,
        **_WINDOW,
        "multiple": "a number above 0, up to 1000: how many times the baseline",
        "floor": f"a whole number from 0 to {_MOST_FLOOR}: events that are never too many",
        "baseline_windows": f"a whole number from 1 to {_MOST_BASELINE}",
        "learning_windows": "a whole number from 1 to baseline_windows",
        **_QUIET,
    },
    "ratio": {
        **_COMMON,
        **_WINDOW,
        "share": "a number above 0, up to 1",
        "minimum": f"a whole number from 1 to {_MOST_FLOOR}: events of any level that it takes",
        **_QUIET,
    },
    "absence": {**_COMMON, "window": "a duration from 20s to 1d, as 10m", **_THRESHOLD},
    "new-pattern": {
        **_COMMON,
        **_WINDOW,
        **_THRESHOLD,
        "learning_period": "a duration from 0s to 365d, as 1h",
        **_QUIET,
    },
}
_REQUIRED: Final[dict[Kind, tuple[str, ...]]] = {
    "count": ("window", "threshold"),
    "rate": ("multiple", "floor"),
    "ratio": ("share", "minimum"),
    "absence": ("window",),
    "new-pattern": (),
}
_MATCH: Final = {
    "levels": "a list of levels",
    "services": "a list of globs, or include and exclude with one each",
    "attributes": "a mapping of names to a value or a list of values",
    "message": "a regular expression",
}
_SERVICES: Final = {"include": "a list of globs", "exclude": "a list of globs"}


def read_fields(value: Value) -> tuple[Kind | None, dict[str, Value]]:
    """The kind of a rule and its fields; None, and a fault, where there is no such kind."""
    named = value.text_of("kind")
    kind = next((known for known in KINDS if known == named), None)
    known = _FIELDS[kind] if kind else {name: text for fields in _FIELDS.values() for name, text in fields.items()}
    required = ("name", "kind", *(_REQUIRED[kind] if kind else ()))
    fields = value.fields(known, required, _misplaced(kind) if kind else {})
    if kind is None and "kind" in fields and fields["kind"].text() is not None:
        fields["kind"].unfit(f"a kind that is supported ({', '.join(KINDS)})")
    return kind, fields


def read_rule(kind: Kind | None, name: str, fields: dict[str, Value]) -> Rule | None:
    """The rule of these fields; None, and faults, where they do not make one."""
    given = _Given(name, fields, kind)
    if kind is None:
        given.look_at_all()
        return None
    rule = _READERS[kind](given)
    return msgspec.structs.replace(rule, shadow=True) if rule and given.shadow else rule


def read_name(value: Value) -> str | None:
    """A rule's name."""
    name = value.text()
    if name is None or (len(name) <= _MOST_NAME and _NAME_CHARACTERS.issuperset(name)):
        return name
    value.unfit(_COMMON["name"])
    return None


def read_level(value: Value) -> Level | None:
    """A level, in any case and under any alias."""
    level = fold_level(text) if isinstance(text := value.scalar(), str) else None
    if level is None and text is not None:
        value.unfit(f"one of {', '.join((*LEVELS, *ALIASES))}")
    return level


def _misplaced(kind: Kind) -> dict[str, str]:
    """Fields of other kinds, each with whose it is."""
    owners: dict[str, list[str]] = {}
    for other, fields in _FIELDS.items():
        for name in fields.keys() - _FIELDS[kind].keys():
            owners.setdefault(name, []).append(other)
    return {name: f"is a field of kind {_listed(kinds)}, not of {kind}" for name, kinds in owners.items()}


def _listed(kinds: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(kinds[:-1]), kinds[-1])))


class _Given:
    """The fields that a rule was given, read with their defaults and bounds."""

    def __init__(self, name: str, fields: dict[str, Value], kind: Kind | None) -> None:
        self.name = name
        self.fields = fields
        self.quiet = self.duration("quiet_period", 0, _YEAR, _HOUR)
        self.lateness = self.duration("allowed_lateness", 0, DAY, None)
        self.shadow = fields["shadow"].boolean() if "shadow" in fields else False
        self.floor = _read_severity(fields["severity_floor"]) if "severity_floor" in fields else None
        usual = LEVELS if kind == "absence" else DEFAULT_LEVELS
        self.levels, self.match = _read_match(fields["match"], usual) if "match" in fields else (usual, EVERY_EVENT)

    def duration(self, name: str, low: int, high: int, default: int | None) -> int | None:
        return self.fields[name].duration(low, high) if name in self.fields else default

    def integer(self, name: str, low: int, high: int, default: int | None = None) -> int | None:
        return self.fields[name].integer(low, high) if name in self.fields else default

    def number(self, name: str, high: float) -> float | None:
        return self.fields[name].number(0, high) if name in self.fields else None

    def window(self, default: int | None = None, low: int = _SECOND) -> int | None:
        return self.duration("window", low, DAY, default)

    def threshold(self, default: int | None = None) -> int | None:
        return self.integer("threshold", 1, _MOST_COUNT, default)

    def look_at_all(self) -> None:
        """Note the faults of fields that mean the same in every kind."""
        self.window()
        self.threshold()


def _read_count(given: _Given) -> Rule | None:
    window, threshold = given.window(), given.threshold()
    if window is None or threshold is None or given.quiet is None:
        return None
    return CountRule(given.name, given.levels, threshold, window, given.quiet, given.floor, given.match, given.lateness)


def _read_rate(given: _Given) -> Rule | None:
    window, multiple = given.window(_MINUTE), given.number("multiple", 1_000)
    floor = given.integer("floor", 0, _MOST_FLOOR)
    baseline = given.integer("baseline_windows", 1, _MOST_BASELINE, 60)
    most = baseline or _MOST_BASELINE
    learning = given.integer("learning_windows", 1, most, min(10, most))
    if window is None or multiple is None or floor is None or not baseline or learning is None or given.quiet is None:
        return None
    return RateRule(
        *(given.name, given.levels, 1, window, given.quiet, given.floor, given.match, given.lateness),
        multiple=multiple,
        floor=floor,
        baseline_windows=baseline,
        learning_windows=learning,
    )


def _read_ratio(given: _Given) -> Rule | None:
    window, share = given.window(_MINUTE), given.number("share", 1)
    minimum = given.integer("minimum", 1, _MOST_FLOOR)
    if window is None or share is None or minimum is None or given.quiet is None:
        return None
    return RatioRule(
        *(given.name, given.levels, 1, window, given.quiet, given.floor, given.match, given.lateness),
        share=share,
        minimum=minimum,
    )


def _read_absence(given: _Given) -> Rule | None:
    window, threshold = given.window(low=_SHORTEST_SILENCE), given.threshold(10)
    if window is None or threshold is None:
        return None
    return AbsenceRule(given.name, given.levels, threshold, window, 0, given.floor, given.match, given.lateness)


def _read_pattern_rule(given: _Given) -> Rule | None:
    window, threshold = given.window(5 * _MINUTE), given.threshold(1)
    learning = given.duration("learning_period", 0, _YEAR, _HOUR)
    if window is None or threshold is None or learning is None or given.quiet is None:
        return None
    return PatternRule(
        *(given.name, given.levels, threshold, window, given.quiet, given.floor, given.match, given.lateness),
        learning_period=learning,
    )


_READERS: Final[dict[Kind, Callable[[_Given], Rule | None]]] = {
    "count": _read_count,
    "rate": _read_rate,
    "ratio": _read_ratio,
    "absence": _read_absence,
    "new-pattern": _read_pattern_rule,
}


def _read_severity(value: Value) -> Severity | None:
    text = value.text()
    for severity in SEVERITIES:
        if severity == text:
            return severity
    if text is not None:
        value.unfit(_COMMON["severity_floor"])
    return None


def _read_match(value: Value, usual: tuple[Level, ...]) -> tuple[tuple[Level, ...], Match]:
    fields = value.fields(_MATCH)
    include, exclude = _read_services(fields["services"]) if "services" in fields else ((), ())
    attributes = _read_attributes(fields["attributes"]) if "attributes" in fields else ()
    message = _read_pattern(fields["message"]) if "message" in fields else None
    levels = _read_levels(fields["levels"]) if "levels" in fields else usual
    match = Match(include, exclude, attributes, message)
    return levels, EVERY_EVENT if match == EVERY_EVENT else match


def _read_levels(value: Value) -> tuple[Level, ...]:
    named = {read_level(item) for item in _some(value)}
    return tuple(level for level in LEVELS if level in named)


def _read_services(value: Value) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if not value.is_mapping:
        return _read_globs(value), ()
    fields = value.fields(_SERVICES)
    include, exclude = ((_read_globs(fields[name]) if name in fields else ()) for name in _SERVICES)
    return include, exclude


def _read_globs(value: Value) -> tuple[str, ...]:
    return tuple(glob for item in _some(value) if (glob := item.text(200)) is not None)


def _read_attributes(value: Value) -> tuple[tuple[str, tuple[AttributeValue, ...]], ...]:
    return tuple(
        (name, tuple(found for item in _some(values) if (found := item.scalar()) is not None))
        for name, values in value.entries().items()
    )


def _read_pattern(value: Value) -> str | None:
    pattern = value.text()
    if pattern is not None:
        try:
            check_pattern(pattern)
        except InvalidPattern as error:
            value.fault(f"expected a regular expression that RE2 takes: {error}")
    return pattern


def _some(value: Value) -> list[Value]:
    """The items of a list that may not be empty."""
    items = value.items()
    if not items:
        value.fault("expected at least one; found none")
    return items
