"""Files of scenarios, in the spirit of `promtool test rules`: rules, what arrives, and what must come of it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, Literal

import msgspec

from schemas.event import MAX_ID, MAX_MESSAGE, MAX_SERVICE, Event
from schemas.lifecycle import STATUSES, Status
from schemas.timestamps import MICROSECONDS
from stream_processor.rule_fields import read_level, read_name
from stream_processor.rule_files import RULES_FIELDS, RuleReader
from stream_processor.rules import RuleSet
from stream_processor.scenarios import START, Change, Step, Wait
from stream_processor.yaml_nodes import Scalar, Value, read_yaml

MAX_EVENTS: Final = 100_000
_YEAR: Final = 365 * 86_400 * MICROSECONDS

_FILE: Final = {
    "rule_files": "a list of rule files or directories, relative to this file",
    **RULES_FIELDS,
    "scenarios": "a list of scenarios",
}
_SCENARIO: Final = {
    "name": "a text",
    "input": "a list of events, status changes and waits in the order of arrival",
    "expect": "what must come of it",
}
_EVENT: Final = {
    "at": "the event time, as 10s",
    "service": "a text",
    "level": "a level",
    "message": "a text",
    "attributes": "a mapping of names to values",
    "id": "a text",
    "repeat": "how often",
    "every": "a duration, as 1s",
}
_VERBS: Final[dict[str, Status]] = {
    "investigate": "investigating",
    "resolve": "resolved",
    "close": "closed",
    "reopen": "open",
}
_EXPECT: Final = {
    "incidents": "a list of incidents; [] for none",
    "near_misses": "a list of near misses",
    "late": "how many events are late",
    "duplicates": "how many events are duplicates",
}
_INCIDENT: Final = {
    "rule": "a rule's name",
    "service": "a text",
    "count": "how many events",
    "first": "the first event time, as 0s",
    "last": "the last event time, as 4s",
    "status": " or ".join(STATUSES),
    "previous": "the first event time of the incident before it, or none",
}
_NEAR_MISS: Final = {name: _INCIDENT[name] for name in ("rule", "service", "count", "first", "last")}


class Expected(msgspec.Struct, frozen=True):
    """An incident or a near miss that must be there; what is not given (None) may be anything. Times: microseconds."""

    rule: str
    service: str
    count: int | None = None
    first: int | None = None
    last: int | None = None
    status: Status | None = None
    previous: int | Literal["none"] | None = None


class Scenario(msgspec.Struct, frozen=True):
    """What arrives, and what must come of it; None: not looked at."""

    name: str
    line: int
    steps: list[Step]
    incidents: list[Expected]
    near_misses: list[Expected] | None
    late: int | None
    duplicates: int | None


class ScenarioFile(msgspec.Struct, frozen=True):
    """Scenarios and the rules that they are about."""

    file: str
    rules: RuleSet
    scenarios: list[Scenario]


def load_scenarios(path: Path) -> ScenarioFile:
    """The scenarios of a file.

    Raises:
        InvalidFiles: with every fault of the file and of the rule files that it names.
    """
    reader = RuleReader()
    top = read_yaml(path, str(path), reader.faults)
    scenarios = [] if top is None else _read_file(top, path, reader)
    return ScenarioFile(str(path), reader.finish(), scenarios)


def _read_file(top: Value, path: Path, reader: RuleReader) -> list[Scenario]:
    fields = top.fields(_FILE, required=("scenarios",))
    if fields and not fields.keys() & {"rules", "rule_files"}:
        top.fault(f"expected rules ({_FILE['rules']}) or rule_files ({_FILE['rule_files']})")
    reader.read(fields)
    if "rule_files" in fields:
        named = (item.text() for item in fields["rule_files"].items())
        reader.read_paths([path.parent / name for name in named if name is not None])
    if "scenarios" not in fields:
        return []
    items = fields["scenarios"].items()
    if not items:
        fields["scenarios"].fault("expected at least one scenario; found none")
    return [_read_scenario(item) for item in items]


def _read_scenario(value: Value) -> Scenario:
    fields = value.fields(_SCENARIO, required=("name", "input", "expect"))
    name = fields["name"].text(200) if "name" in fields else None
    steps: list[Step] = []
    for item in fields["input"].items() if "input" in fields else ():
        if len(steps) <= MAX_EVENTS:
            steps.extend(_read_step(item, len(steps)))
    if len(steps) > MAX_EVENTS:
        fields["input"].fault(f"expected at most {MAX_EVENTS:,} events; found more")
    expect = fields["expect"].fields(_EXPECT, required=("incidents",)) if "expect" in fields else {}
    return Scenario(
        name or "",
        value.line,
        steps,
        _read_expected(expect, "incidents", _INCIDENT) or [],
        _read_expected(expect, "near_misses", _NEAR_MISS),
        _read_count(expect, "late"),
        _read_count(expect, "duplicates"),
    )


def _read_step(value: Value, number: int) -> list[Step]:
    names = value.names
    for word in ("wait", "outage"):
        if word in names:
            wait = value.fields({word: "a duration, as 1h"})[word].duration(0, _YEAR)
            return [] if wait is None else [Wait(wait, is_outage=word == "outage")]
    for verb, status in _VERBS.items():
        if verb in names:
            return list(_read_change(value, verb, status))
    return list(_read_events(value, number))


def _read_change(value: Value, verb: str, status: Status) -> Iterator[Change]:
    fields = value.fields({verb: "service/rule", "at": "when, as 10s"})
    at = fields["at"].duration(0, _YEAR) if "at" in fields else 0
    service, slash, rule = (fields[verb].text() or "").rpartition("/")
    if not slash:
        fields[verb].unfit("service/rule, as checkout/error-burst")
    elif at is not None:
        yield Change(service, rule, status, START + at, value.path)


def _read_events(value: Value, number: int) -> Iterator[Event]:
    fields = value.fields(_EVENT, required=("at", "service"))
    at = fields["at"].duration(0, _YEAR) if "at" in fields else None
    service = fields["service"].text(MAX_SERVICE) if "service" in fields else None
    level = read_level(fields["level"]) if "level" in fields else "ERROR"
    message = fields["message"].text(MAX_MESSAGE) if "message" in fields else "an event"
    event_id = fields["id"].text(MAX_ID) if "id" in fields else None
    attributes = _read_attributes(fields["attributes"]) if "attributes" in fields else None
    repeat = fields["repeat"].integer(1, MAX_EVENTS) if "repeat" in fields else 1
    every = fields["every"].duration(0, _YEAR) if "every" in fields else MICROSECONDS
    if at is None or service is None or level is None or message is None or repeat is None or every is None:
        return
    for turn in range(repeat):
        own_id = event_id or f"event {number + turn + 1}"
        yield Event(own_id, service.strip(), level, message, START + at + turn * every, attributes)


def _read_attributes(value: Value) -> dict[str, Scalar]:
    read = ((name, item.scalar()) for name, item in value.entries().items())
    return {name: scalar for name, scalar in read if scalar is not None}


def _read_expected(expect: Mapping[str, Value], name: str, known: Mapping[str, str]) -> list[Expected] | None:
    if name not in expect:
        return None
    return [_read_one(item, known) for item in expect[name].items()]


def _read_one(value: Value, known: Mapping[str, str]) -> Expected:
    fields = value.fields(known, required=("rule", "service"))
    rule = read_name(fields["rule"]) if "rule" in fields else None
    service = fields["service"].text(MAX_SERVICE) if "service" in fields else None
    first, last = (_read_time(fields[name]) if name in fields else None for name in ("first", "last"))
    return Expected(
        rule or "",
        service or "",
        _read_count(fields, "count"),
        first,
        last,
        _read_status(fields["status"]) if "status" in fields else None,
        _read_previous(fields["previous"]) if "previous" in fields else None,
    )


def _read_count(fields: Mapping[str, Value], name: str) -> int | None:
    return fields[name].integer(0, MAX_EVENTS) if name in fields else None


def _read_time(value: Value) -> int | None:
    time = value.duration(0, _YEAR)
    return None if time is None else START + time


def _read_previous(value: Value) -> int | Literal["none"] | None:
    return "none" if value.scalar() == "none" else _read_time(value)


def _read_status(value: Value) -> Status | None:
    text = value.text()
    for status in STATUSES:
        if status == text:
            return status
    if text is not None:
        value.unfit(_INCIDENT["status"])
    return None
