"""Rules as code: YAML files become a `RuleSet`, or the list of all that is wrong with them; see docs/rules.md."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from runtime.settings import Settings
from schemas.timestamps import MICROSECONDS
from stream_processor.durations import format_duration
from stream_processor.faults import Fault, InvalidFiles, in_order
from stream_processor.rule_fields import read_fields, read_name, read_rule
from stream_processor.rules import DAY, Rule, RuleSet, rules_from_settings
from stream_processor.yaml_nodes import Value, read_yaml

SUFFIXES: Final = (".yaml", ".yml")
TEST_SUFFIXES: Final = tuple(f".test{suffix}" for suffix in SUFFIXES)
"""Scenarios lie beside the rules; a directory's rules are read without them."""

_DEFAULT_LATENESS: Final = 600 * MICROSECONDS

RULES_FIELDS: Final = {
    "rules": "a list of at least one rule",
    "allowed_lateness": "a duration from 0s to 1d, as 10m",
}


class RuleReader:
    """Reads rules from any number of files and collects what is wrong with them."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.rules: list[Rule] = []
        self._places: dict[str, Value] = {}
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
        lateness = self._lateness[0] if self._lateness else _DEFAULT_LATENESS
        rules = RuleSet(tuple(self.rules), lateness)
        for rule in rules.rules:
            if rule.lateness > rule.most_lateness:
                self._places[rule.name].fault(
                    f"expected an allowed lateness up to {format_duration(rule.most_lateness)} for a rule of kind "
                    f"{rule.kind} with this window; it is {format_duration(rule.lateness)}"
                )
        if self.faults:
            raise InvalidFiles(in_order(self.faults))
        return rules

    def _files(self, path: Path) -> list[Path]:
        files = files_of(path)
        if not files:
            self.faults.append(Fault(str(path), 1, 1, "file", f"expected a file that ends in {' or '.join(SUFFIXES)}"))
        return files

    def _take_lateness(self, value: Value) -> None:
        lateness = value.duration(0, DAY)
        if lateness is None:
            return
        if self._lateness and self._lateness[0] != lateness:
            value.fault(f"expected the same as in {self._lateness[1].place}: all rules share it")
        self._lateness = self._lateness or (lateness, value)

    def _take_rule(self, value: Value) -> None:
        kind, fields = read_fields(value)
        name = read_name(fields["name"]) if "name" in fields else None
        if name is not None:
            if name in self._names:
                fields["name"].fault(f"expected a name of its own; {self._names[name].place} has it already")
            self._names.setdefault(name, fields["name"])
        rule = read_rule(kind, name or "", fields)
        if rule is not None:
            self.rules.append(rule)
            self._places[rule.name] = fields.get("allowed_lateness", fields.get("window", value))


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
