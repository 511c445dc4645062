"""Rules as code: YAML files become a `RuleSet`, or the list of all that is wrong with them; see docs/rules.md."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from runtime.settings import Settings
from schemas.analysis import SEVERITIES, Severity
from schemas.levels import ALIASES, LEVELS, Level, fold_level
from schemas.timestamps import MICROSECONDS
from stream_processor.faults import Fault, InvalidFiles, in_order
from stream_processor.matching import EVERY_EVENT, AttributeValue, InvalidPattern, Match, check_pattern
from stream_processor.rules import DEFAULT_LEVELS, CountRule, RuleSet, rules_from_settings
from stream_processor.yaml_nodes import Value, read_yaml

KINDS: Final = ("count",)
SUFFIXES: Final = (".yaml", ".yml")
TEST_SUFFIXES: Final = tuple(f".test{suffix}" for suffix in SUFFIXES)
"""Scenarios lie beside the rules; a directory's rules are read without them."""

_SECOND: Final = MICROSECONDS
_DAY: Final = 86_400 * MICROSECONDS
_YEAR: Final = 365 * _DAY
_MOST_THRESHOLD: Final = 10_000
_DEFAULT_QUIET: Final = 3_600 * MICROSECONDS
_DEFAULT_LATENESS: Final = 600 * MICROSECONDS
_MOST_NAME: Final = 64
_NAME_CHARACTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")

RULES_FIELDS: Final = {
    "rules": "a list of at least one rule",
    "allowed_lateness": "a duration from 0s to 1d, as 10m",
}
_RULE: Final = {
    "name": f"1 to {_MOST_NAME} of a-z, 0-9 and -",
    "kind": " or ".join(KINDS),
    "match": "which events qualify",
    "window": "a duration from 1s to 1d, as 5m",
    "threshold": f"a whole number from 1 to {_MOST_THRESHOLD}",
    "quiet_period": "a duration from 0s (never) to 365d, as 1h",
    "severity_floor": " or ".join(SEVERITIES),
}
_MATCH: Final = {
    "levels": "a list of levels",
    "services": "a list of globs, or include and exclude with one each",
    "attributes": "a mapping of names to a value or a list of values",
    "message": "a regular expression",
}
_SERVICES: Final = {"include": "a list of globs", "exclude": "a list of globs"}


class RuleReader:
    """Reads rules from any number of files and collects what is wrong with them."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.rules: list[CountRule] = []
        self._names: dict[str, Value] = {}
        self._lateness: tuple[int, Value] | None = None

    def read_paths(self, paths: Iterable[Path]) -> None:
        """Read files, and of directories the files that end in .yaml or .yml."""
        for path in paths:
            for file in self._files(path):
                top = read_yaml(file, str(file), self.faults)
                if top is not None:
                    self.read(top.fields(RULES_FIELDS, required=("rules",)))

    def read(self, fields: dict[str, Value]) -> None:
        """Read the top level of a file: `rules` and `allowed_lateness`."""
        if (lateness := fields.get("allowed_lateness")) is not None:
            self._take_lateness(lateness)
        if (listed := fields.get("rules")) is None:
            return
        items = listed.items()
        if not items:
            listed.fault(f"expected {RULES_FIELDS['rules']}; found none")
        for item in items:
            self._take_rule(item)

    def finish(self) -> RuleSet:
        """The rules of all that was read.

        Raises:
            InvalidFiles: with every fault, where there is one.
        """
        if self.faults:
            raise InvalidFiles(in_order(self.faults))
        lateness = self._lateness[0] if self._lateness else _DEFAULT_LATENESS
        return RuleSet(tuple(self.rules), lateness)

    def _files(self, path: Path) -> list[Path]:
        files = files_of(path)
        if not files:
            self.faults.append(Fault(str(path), 1, 1, "file", f"expected a file that ends in {' or '.join(SUFFIXES)}"))
        return files

    def _take_lateness(self, value: Value) -> None:
        lateness = value.duration(0, _DAY)
        if lateness is None:
            return
        if self._lateness and self._lateness[0] != lateness:
            value.fault(f"expected the same as in {self._lateness[1].place}: all rules share it")
        self._lateness = self._lateness or (lateness, value)

    def _take_rule(self, value: Value) -> None:
        fields = value.fields(_RULE, required=("name", "kind", "window", "threshold"))
        name = read_name(fields["name"]) if "name" in fields else None
        if name is not None:
            if name in self._names:
                fields["name"].fault(f"expected a name of its own; {self._names[name].place} has it already")
            self._names.setdefault(name, fields["name"])
        rule = _read_rule(name or "", fields)
        if rule is not None:
            self.rules.append(rule)


def files_of(path: Path) -> list[Path]:
    """The rule files of a directory, by name; a path that is none stands for itself, be it there or not."""
    if not path.is_dir():
        return [path]
    named = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES and file.is_file())
    return [file for file in named if not file.name.endswith(TEST_SUFFIXES)]


def load_rules(paths: Sequence[Path]) -> RuleSet:
    """The rules of files and directories, in the order of the files.

    Raises:
        InvalidFiles: with every fault of every file.
    """
    reader = RuleReader()
    reader.read_paths(paths)
    return reader.finish()


def rules_in_force(settings: Settings) -> RuleSet:
    """The rules of RULES where it is set, else the default rule of the INCIDENT_* settings.

    Raises:
        InvalidFiles: see `load_rules`.
    """
    return rules_from_settings(settings) if settings.rules is None else load_rules([settings.rules])


def read_name(value: Value) -> str | None:
    """A rule's name."""
    name = value.text()
    if name is None or (len(name) <= _MOST_NAME and _NAME_CHARACTERS.issuperset(name)):
        return name
    value.unfit(_RULE["name"])
    return None


def read_level(value: Value) -> Level | None:
    """A level, in any case and under any alias."""
    level = fold_level(text) if isinstance(text := value.scalar(), str) else None
    if level is None and text is not None:
        value.unfit(f"one of {', '.join((*LEVELS, *ALIASES))}")
    return level


def _read_rule(name: str, fields: dict[str, Value]) -> CountRule | None:
    """The rule of these fields; None, and faults, where they do not make one."""
    kind = fields["kind"].text() if "kind" in fields else None
    if kind is not None and kind not in KINDS:
        fields["kind"].unfit(f"a kind that is supported ({', '.join(KINDS)})")
    window = fields["window"].duration(_SECOND, _DAY) if "window" in fields else None
    threshold = fields["threshold"].integer(1, _MOST_THRESHOLD) if "threshold" in fields else None
    quiet = fields["quiet_period"].duration(0, _YEAR) if "quiet_period" in fields else _DEFAULT_QUIET
    floor = _read_severity(fields["severity_floor"]) if "severity_floor" in fields else None
    levels, match = _read_match(fields["match"]) if "match" in fields else (DEFAULT_LEVELS, EVERY_EVENT)
    if window is None or threshold is None or quiet is None:
        return None
    return CountRule(name, levels, threshold, window, quiet, floor, match)


def _read_severity(value: Value) -> Severity | None:
    text = value.text()
    for severity in SEVERITIES:
        if severity == text:
            return severity
    if text is not None:
        value.unfit(_RULE["severity_floor"])
    return None


def _read_match(value: Value) -> tuple[tuple[Level, ...], Match]:
    fields = value.fields(_MATCH)
    include, exclude = _read_services(fields["services"]) if "services" in fields else ((), ())
    attributes = _read_attributes(fields["attributes"]) if "attributes" in fields else ()
    message = _read_pattern(fields["message"]) if "message" in fields else None
    levels = _read_levels(fields["levels"]) if "levels" in fields else DEFAULT_LEVELS
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
