"""YAML that people write, read so that every mistake is told with its file, line, column and field.

Nothing is constructed from the text: the values are the scalars, lists and mappings of PyYAML's node graph, each with
its place. A value that does not fit is noted and read as None; the notes of a file are looked at when all is read.
"""

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Final

import yaml

from stream_processor.durations import format_duration, parse_duration
from stream_processor.faults import Fault

Scalar = str | int | float | bool

MAX_FILE_BYTES: Final = 1 << 20
_TAG: Final = "tag:yaml.org,2002:"
_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_DECIMAL: Final = re.compile(r"-?[0-9]{1,18}\.[0-9]{1,18}")
_SHOWN: Final = 40
_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


class Value:
    """A node of a file, the path of fields that leads to it, and where its faults are noted."""

    def __init__(self, node: yaml.Node, file: str, path: str, faults: list[Fault]) -> None:
        self.node = node
        self.file = file
        self.path = path
        self._faults = faults

    @property
    def is_mapping(self) -> bool:
        """Whether it has fields."""
        return isinstance(self.node, yaml.MappingNode)

    @property
    def names(self) -> set[str]:
        """The names of its fields."""
        keys = [key for key, _ in self.node.value] if self.is_mapping else []
        return {key.value for key in keys if isinstance(key, yaml.ScalarNode)}

    @property
    def line(self) -> int:
        """Its line, from 1."""
        return self.node.start_mark.line + 1

    @property
    def place(self) -> str:
        """Its file and line."""
        return f"{self.file}:{self.line}"

    def fault(self, expected: str) -> None:
        """Note that something else was expected here."""
        mark = self.node.start_mark
        self._faults.append(Fault(self.file, mark.line + 1, mark.column + 1, self.path or "file", expected))

    def unfit(self, expected: str) -> None:
        """Note what was expected and what was found."""
        self.fault(f"expected {expected}; found {_found(self.node)}")

    def text_of(self, name: str) -> str | None:
        """The text of a field, if there is one, without a look at whether it is right."""
        for key, node in self.node.value if self.is_mapping else ():
            if isinstance(key, yaml.ScalarNode) and key.value == name and isinstance(node, yaml.ScalarNode):
                return str(node.value)
        return None

    def fields(
        self, known: Mapping[str, str], required: Sequence[str] = (), misplaced: Mapping[str, str] = _NOTHING
    ) -> dict[str, "Value"]:
        """The fields of a mapping, by name. `known` says of each what it takes; others are faults.

        `misplaced` says of fields that are known elsewhere why they do not fit here.
        """
        if not isinstance(self.node, yaml.MappingNode):
            self.unfit(f"a mapping with {', '.join(known)}")
            return {}
        found: dict[str, Value] = {}
        for key, node in self.node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else _found(key)
            place = Value(key, self.file, self._under(name), self._faults)
            if name in misplaced:
                place.fault(misplaced[name])
            else:
                self._take_field(place, name, node, known, found)
        for name in required:
            if name not in found:
                Value(self.node, self.file, self._under(name), self._faults).fault(f"is required: {known[name]}")
        return found

    def entries(self) -> dict[str, "Value"]:
        """The fields of a mapping whose names are free."""
        if not isinstance(self.node, yaml.MappingNode):
            self.unfit("a mapping")
            return {}
        found: dict[str, Value] = {}
        for key, node in self.node.value:
            place = Value(key, self.file, self.path, self._faults)
            if (name := place.text()) is not None:
                self._take_field(Value(key, self.file, self._under(name), self._faults), name, node, {name: ""}, found)
        return found

    def items(self) -> list["Value"]:
        """The items of a list; a single value stands for a list of one."""
        if not isinstance(self.node, yaml.SequenceNode):
            return [self]
        return [Value(n, self.file, f"{self.path}[{i}]", self._faults) for i, n in enumerate(self.node.value)]

    def text(self, most: int = 1_000) -> str | None:
        """A text of 1 to `most` characters."""
        value = self._scalar()
        if not isinstance(value, str):
            is_other = isinstance(self.node, yaml.ScalarNode) and self.node.tag != f"{_TAG}null"
            self.unfit("a text in quotes" if is_other else "a text")
        elif not 1 <= len(value) <= most:
            self.fault(f"expected a text of 1 to {most} characters; found {len(value)}")
        elif not _is_unicode(value):
            self.fault("expected a text without lone surrogates")
        else:
            return value
        return None

    def integer(self, low: int, high: int) -> int | None:
        """A whole number from `low` to `high`."""
        value = self._scalar()
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        self.unfit(f"a whole number from {low} to {high}")
        return None

    def number(self, low: float, high: float) -> float | None:
        """A number above `low`, up to `high`."""
        value = self._scalar()
        if isinstance(value, int | float) and not isinstance(value, bool) and low < value <= high:
            return float(value)
        self.unfit(f"a number above {low:g}, up to {high:g}")
        return None

    def duration(self, low: int, high: int) -> int | None:
        """A duration from `low` to `high`, all in microseconds."""
        value = self.node.value if isinstance(self.node, yaml.ScalarNode) else ""
        duration = parse_duration(value)
        if duration is not None and low <= duration <= high:
            return duration
        self.unfit(f"a duration from {format_duration(low)} to {format_duration(high)}, as 90s, 5m or 1h30m")
        return None

    def boolean(self) -> bool | None:
        """True or false."""
        value = self._scalar()
        if isinstance(value, bool):
            return value
        self.unfit("true or false")
        return None

    def scalar(self) -> Scalar | None:
        """A text, a number, true or false."""
        value = self._scalar()
        if value is None:
            self.unfit("a text, a number, true or false")
        elif isinstance(value, str):
            return value if value == "" else self.text(32_768)
        return value

    def _scalar(self) -> Scalar | None:
        return _scalar(self.node) if isinstance(self.node, yaml.ScalarNode) else None

    def _under(self, name: str) -> str:
        shown = name if name.isprintable() and len(name) <= _SHOWN else ascii(name[:_SHOWN])
        return f"{self.path}.{shown}" if self.path else shown

    def _take_field(
        self, key: "Value", name: str, node: yaml.Node, known: Mapping[str, str], found: dict[str, "Value"]
    ) -> None:
        if name in found:
            first = found[name].line
            key.fault(f"expected once; it is given on line {first} already")
        elif name not in known:
            close = get_close_matches(name[:100], known, n=1, cutoff=0.7)
            hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
            key.fault(f"is no known field; {hint}")
        else:
            found[name] = Value(node, self.file, self._under(name), self._faults)


def read_yaml(path: Path, file: str, faults: list[Fault]) -> Value | None:
    """The one document of a file; None, and a fault, where it is not there or is no YAML."""
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        faults.append(Fault(file, 1, 1, "file", f"expected a file that can be read: {why}"))
        return None
    return parse_yaml(content, file, faults)


def parse_yaml(content: bytes, file: str, faults: list[Fault]) -> Value | None:
    """The one document in `content`; see `read_yaml`."""
    if len(content) > MAX_FILE_BYTES:
        faults.append(Fault(file, 1, 1, "file", f"expected at most {MAX_FILE_BYTES:,} bytes"))
        return None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8", "replace")
        faults.append(_fault_after(before, file, "expected UTF-8"))
        return None
    node = _compose(text, file, faults)
    return None if node is None else Value(node, file, "", faults)


def _compose(text: str, file: str, faults: list[Fault]) -> yaml.Node | None:
    try:
        loader = yaml.SafeLoader(text)
    except yaml.reader.ReaderError as error:
        faults.append(_fault_after(text[: error.position], file, f"expected no character {error.character!r}"))
        return None
    mark: yaml.Mark | None = None
    try:
        node: yaml.Node | None = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        why = f"expected YAML: {error.problem}"
    except (ValueError, OverflowError, yaml.YAMLError) as error:  # an escape or a version that Python cannot hold
        why = f"expected YAML: {error}"
    except RecursionError:
        why = "expected less nesting"
    else:
        if node is None:
            faults.append(Fault(file, 1, 1, "file", "expected content; the file is empty"))
        return node
    mark = mark or loader.get_mark()
    faults.append(Fault(file, mark.line + 1, mark.column + 1, "file", " ".join(why.split())))
    return None


def _fault_after(before: str, file: str, expected: str) -> Fault:
    lines = before.split("\n")
    return Fault(file, len(lines), len(lines[-1]) + 1, "file", expected)


def _scalar(node: yaml.ScalarNode) -> Scalar | None:
    """The value of a scalar; numbers in JSON's forms alone, since 0777 and 5:00 are not what they seem in YAML 1.1."""
    kind, text = node.tag, node.value
    if kind == f"{_TAG}str":
        return str(text)
    if kind == f"{_TAG}bool":
        return {"true": True, "false": False}.get(text.lower())
    if kind == f"{_TAG}int" and _INTEGER.fullmatch(text):
        return int(text)
    if kind == f"{_TAG}float" and _DECIMAL.fullmatch(text):
        return float(text)
    return None


def _found(node: yaml.Node) -> str:
    if isinstance(node, yaml.ScalarNode):
        text = node.value
        return ascii(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...") if text else "nothing"
    return "a list" if isinstance(node, yaml.SequenceNode) else "a mapping"


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
