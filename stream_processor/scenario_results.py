"""Whether a scenario led to what it expects, and the difference where it did not."""

from collections.abc import Sequence

import msgspec

from schemas.incident import Incident
from stream_processor.durations import format_duration
from stream_processor.near_misses import NearMiss
from stream_processor.rules import RuleSet
from stream_processor.scenario_files import Expected, Scenario
from stream_processor.scenarios import START, ScenarioRun, run_scenario


class Verdict(msgspec.Struct, frozen=True):
    """The result of one scenario. `differences`: lines with `-` tell what was expected, with `+` what was found."""

    file: str
    line: int
    scenario: str
    passed: bool
    differences: list[str]


def judge(file: str, scenario: Scenario, rules: RuleSet) -> Verdict:
    """Run a scenario and compare."""
    run = run_scenario(rules, scenario.steps)
    outcome = run.outcome()
    found = found_incidents(run)
    differences = [f"! {objection}" for objection in outcome.objections]
    differences += _compare("incidents", scenario.incidents, found)
    if scenario.near_misses is not None:
        misses = [_found_near_miss(miss) for miss in outcome.near_misses]
        differences += _compare("near misses", scenario.near_misses, misses)
    differences += _compare_count("late events", scenario.late, outcome.ledger["late"])
    differences += _compare_count("duplicates", scenario.duplicates, outcome.ledger["duplicate"])
    return Verdict(file, scenario.line, scenario.name, not differences, differences)


def found_incidents(run: ScenarioRun) -> list[Expected]:
    """What a scenario has led to, as it would be expected."""
    return [_found_incident(incident, run) for incident in run.outcome().incidents]


def _found_incident(incident: Incident, run: ScenarioRun) -> Expected:
    previous = run.first_event_of(incident.previous_key) if incident.previous_key else None
    return Expected(
        incident.rule,
        incident.service,
        incident.event_count,
        incident.first_event_at,
        incident.last_event_at,
        incident.status,
        "none" if previous is None else previous,
    )


def _found_near_miss(miss: NearMiss) -> Expected:
    return Expected(miss.rule, miss.service, miss.count, miss.first, miss.last)


def _compare(what: str, expected: Sequence[Expected], found: Sequence[Expected]) -> list[str]:
    """The lines of those that have no counterpart; what was expected first of all takes the first that fits."""
    missing, surplus = [], list(found)
    for wanted in expected:
        fitting = [one for one in surplus if fits(wanted, one)]
        if fitting:
            surplus.remove(fitting[0])
        else:
            missing.append(wanted)
    if not missing and not surplus:
        return []
    expected_lines = [f"  - {_describe(one)}" for one in missing]
    return [f"{what}:", *expected_lines, *(f"  + {_describe(one)}" for one in surplus)]


def _compare_count(what: str, expected: int | None, found: int) -> list[str]:
    return [] if expected in (None, found) else [f"{what}:", f"  - {expected}", f"  + {found}"]


def fits(expected: Expected, found: Expected) -> bool:
    """Whether what was found is as it was expected, where that says anything."""
    pairs = zip(msgspec.structs.astuple(expected), msgspec.structs.astuple(found), strict=True)
    return all(wanted is None or wanted == present for wanted, present in pairs)


def _describe(one: Expected) -> str:
    said = [f"{one.service}/{one.rule}:"]
    for name in ("count", "first", "last", "status", "previous"):
        value = getattr(one, name)
        if value is not None:
            is_time = name in ("first", "last", "previous") and value != "none"
            said.append(f"{name} {format_duration(value - START) if is_time else value}")
    return f"{said[0]} {', '.join(said[1:]) or 'any'}"
