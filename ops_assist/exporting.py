"""An incident as a scenario for `rules test`: its events in the order in which they were counted, without secrets."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import yaml

from analyzer_worker.redaction import redact
from ops_assist.errors import CommandError
from ops_assist.http_api import HttpApi
from runtime.settings import Settings
from schemas.timestamps import from_rfc3339, to_rfc3339
from stream_processor.durations import format_duration
from stream_processor.faults import InvalidFiles
from stream_processor.rule_files import rules_in_force
from stream_processor.rules import CountRule, Rule
from stream_processor.scenario_files import load_scenarios
from stream_processor.scenario_results import judge

MOST_EVENTS: Final = 10_000
"""Events of an incident that make a scenario; a longer one is no test that a person reads."""

_PAGE: Final = 1_000
_VERBS: Final = {"investigating": "investigate", "resolved": "resolve", "closed": "close", "open": "reopen"}

Fields = Mapping[str, Any]


def rule_of(incident: Fields, settings: Settings) -> CountRule:
    """The rule of an incident, as it is in force here.

    Raises:
        CommandError: there is none, or it is of a kind whose incidents need more than their own events.
    """
    try:
        rules = rules_in_force(settings).rules
    except InvalidFiles as invalid:
        raise CommandError("; ".join(map(str, invalid.faults))) from invalid
    rule = next((rule for rule in rules if rule.name == incident["rule"]), None)
    if rule is None:
        raise CommandError(f"no rule {incident['rule']} is in force here: set RULES as the processor has it")
    if not isinstance(rule, CountRule):
        raise CommandError(
            f"rule {rule.name} is of kind {rule.kind}, which looks back further than an incident: "
            "`ops-assist backtest` tells what it makes of past events"
        )
    return rule


def events_of(api: HttpApi, incident: Fields) -> list[dict[str, Any]]:
    """All events of an incident, with their places.

    Raises:
        CommandError: they are too many, or not all there.
    """
    if incident["event_count"] > MOST_EVENTS:
        raise CommandError(f"{incident['event_count']:,} events: more than the {MOST_EVENTS:,} of a scenario")
    ids = {one["id"] for one in _pages(api, "/api/v1/events", incident_id=incident["id"])}
    path = f"/api/v1/services/{quote(incident['service'], safe='')}/events"
    until = to_rfc3339(from_rfc3339(incident["last_event_at"]) + 1)
    placed = [one for one in _pages(api, path, since=incident["first_event_at"], until=until) if one["id"] in ids]
    placed.sort(key=lambda one: (one["offset"], one["index"]), reverse=True)
    events = {one["id"]: one for one in placed}  # of repeats, the first
    if len(events) != incident["event_count"]:
        told = f"the view has {len(events):,} of its {incident['event_count']:,} events"
        raise CommandError(f"{told}: older ones are gone, or it grows at the moment; please try again")
    return list(events.values())


def _pages(api: HttpApi, path: str, **parameters: Any) -> Iterator[dict[str, Any]]:
    skipped = 0
    while page := api.get(path, **parameters, skip=skipped, limit=_PAGE).json():
        yield from page
        skipped += len(page)


def scenario_file(incident: Fields, events: Sequence[Fields], rule: Rule, settings: Settings, folder: Path) -> str:
    """The file's text. `events`: those of the incident, as the query API gives them with their places."""
    start = min(from_rfc3339(event["timestamp"]) for event in events)
    ordered = sorted(events, key=lambda event: (event["offset"], event["index"]))
    content = {
        **_rules(rule, settings, folder),
        "scenarios": [
            {
                "name": f"incident {incident['id']} of {incident['service']}",
                "input": list(_input(incident, ordered, start)),
                "expect": {"incidents": [_expected(incident, start)]},
            }
        ],
    }
    text: str = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)
    return f"# Made by `ops-assist incidents export-test {incident['id']}`; secrets are taken out.\n{text}"


def check(path: Path) -> None:
    """Play a scenario file.

    Raises:
        CommandError: it does not lead to what it expects, or cannot be read; the text says how.
    """
    try:
        loaded = load_scenarios(path)
    except InvalidFiles as invalid:
        raise CommandError("; ".join(map(str, invalid.faults))) from invalid
    for scenario in loaded.scenarios:
        verdict = judge(loaded.file, scenario, loaded.rules)
        if not verdict.passed:
            told = " ".join(line.strip() for line in verdict.differences)
            raise CommandError(
                f"the rules of today make something else of its events without secrets: {told} (- as it was, + now)"
            )


def _rules(rule: Rule, settings: Settings, folder: Path) -> dict[str, Any]:
    if settings.rules is not None:
        return {"rule_files": [os.path.relpath(settings.rules, folder)]}
    own = {
        "name": rule.name,
        "kind": rule.kind,
        "window": format_duration(rule.window),
        "threshold": rule.threshold,
        "quiet_period": format_duration(rule.quiet_period),
    }
    return {"allowed_lateness": format_duration(rule.lateness), "rules": [own]}


def _input(incident: Fields, events: Iterable[Fields], start: int) -> Iterable[dict[str, Any]]:
    """Events, and what people did between them."""
    changes = [one for one in incident["timeline"] if one["what"] == "status_changed" and one["to"]]
    changes.sort(key=_after, reverse=True)
    name = f"{incident['service']}/{incident['rule']}"
    for event in events:
        while changes and _after(changes[-1]) < event["offset"]:
            yield {_VERBS[changes.pop()["to"]]: name}
        yield _event(event, start)
    for change in reversed(changes):
        yield {_VERBS[change["to"]]: name}


def _after(change: Fields) -> float:
    """The record that a change follows; those of before places were kept came after all."""
    after = change.get("after")
    return float("inf") if after is None else float(after)


def _event(event: Fields, start: int) -> dict[str, Any]:
    told = {
        "at": format_duration(from_rfc3339(event["timestamp"]) - start),
        "service": event["service"],
        "level": event["level"],
        "message": redact(event["message"]).text,
    }
    if attributes := event.get("attributes"):
        told["attributes"] = {name: _value(name, value) for name, value in attributes.items()}
    return told


def _value(name: str, value: object) -> object:
    """A value without secrets, which its name may give away."""
    if not isinstance(value, str):
        return value
    text = redact(f"{name}={value}").text
    return text.removeprefix(f"{name}=") if text.startswith(f"{name}=") else "<redacted>"


def _expected(incident: Fields, start: int) -> dict[str, Any]:
    first, last = (from_rfc3339(incident[name]) - start for name in ("first_event_at", "last_event_at"))
    return {
        "rule": incident["rule"],
        "service": incident["service"],
        "count": incident["event_count"],
        "first": format_duration(first),
        "last": format_duration(last),
    }
