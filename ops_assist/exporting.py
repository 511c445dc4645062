"""An incident as a scenario for `rules test`: its events in the order in which they were counted, without secrets."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import yaml

from analyzer_worker.redaction import redact
from ops_assist.errors import CommandError
from ops_assist.http_api import HttpApi
from runtime.settings import Settings
from schemas.timestamps import EARLIEST, MICROSECONDS, from_rfc3339, to_rfc3339
from stream_processor.durations import format_duration
from stream_processor.faults import InvalidFiles
from stream_processor.rule_files import rules_in_force
from stream_processor.rules import CountRule, PatternRule, RateRule, Rule
from stream_processor.scenario_files import Expected, load_scenarios
from stream_processor.scenario_results import fits, found_incidents, judge
from stream_processor.scenarios import START, run_scenario

MOST_EVENTS: Final = 10_000
"""Events of an incident that make a scenario; a longer one is no test that a person reads."""

_PAGE: Final = 1_000
_REACHES: Final = (1, 4, 16)
"""As often as a rule needs to look back: what it knew may have come from further back."""

_VERBS: Final = {"investigating": "investigate", "resolved": "resolve", "closed": "close", "open": "reopen"}

Fields = Mapping[str, Any]


def rule_of(incident: Fields, settings: Settings) -> Rule:
    """The rule of an incident, as it is in force here.

    Raises:
        CommandError: there is none.
    """
    try:
        rules = rules_in_force(settings).rules
    except InvalidFiles as invalid:
        raise CommandError("; ".join(map(str, invalid.faults))) from invalid
    rule = next((rule for rule in rules if rule.name == incident["rule"]), None)
    if rule is None:
        raise CommandError(f"no rule {incident['rule']} is in force here: set RULES as the processor has it")
    return rule


def export(api: HttpApi, incident: Fields, settings: Settings, path: Path) -> int:
    """Write the scenario of an incident once it has been played; gives how many events it holds.

    An incident of a rule of kind count needs its own events. What the other kinds know reaches further back: as much of
    the service's history as they need is taken, and more where that does not give the incident.

    Raises:
        CommandError: the rules of today, or a scenario of at most 10,000 events, do not give it.
    """
    rule = rule_of(incident, settings)
    if isinstance(rule, CountRule):
        return _write(incident, events_of(api, incident), rule, settings, path)
    refusal = CommandError(f"the view has no events of {incident['service']} from that time any more")
    for times in _REACHES:
        events = history_of(api, incident, rule, times)
        if events is None:
            break
        try:
            return _write(incident, events, rule, settings, path)
        except NotGivenError as error:
            refusal = error
    raise CommandError(f"rule {rule.name} is of kind {rule.kind}, which looks back further than an incident: {refusal}")


class NotGivenError(CommandError):
    """The rules of today do not make the incident of the events of a scenario."""


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


def history_of(api: HttpApi, incident: Fields, rule: Rule, times: int) -> list[dict[str, Any]] | None:
    """The service's events that a rule looks back at, `times` as far as it needs; None: too many for a scenario."""
    first, last = (from_rfc3339(incident[name]) for name in ("first_event_at", "last_event_at"))
    since, until = first - times * _reach(rule), last + rule.window + rule.lateness + 1
    path = f"/api/v1/services/{quote(incident['service'], safe='')}/events"
    pages = _pages(api, path, since=to_rfc3339(max(since, EARLIEST)), until=to_rfc3339(until))
    found = list(islice(pages, MOST_EVENTS + 1))
    return found if 0 < len(found) <= MOST_EVENTS else None


def _reach(rule: Rule) -> int:
    """How far back a rule looks from the first event of an incident, in microseconds."""
    learning = rule.learning_period if isinstance(rule, PatternRule) else 0
    windows = rule.baseline_windows + 1 if isinstance(rule, RateRule) else 2
    return learning + windows * rule.window + rule.lateness


def _pages(api: HttpApi, path: str, **parameters: Any) -> Iterator[dict[str, Any]]:
    skipped = 0
    while page := api.get(path, **parameters, skip=skipped, limit=_PAGE).json():
        yield from page
        skipped += len(page)


def _write(incident: Fields, events: Sequence[Fields], rule: Rule, settings: Settings, path: Path) -> int:
    """Write a scenario, play it, and write it again with all that came of it."""
    passing = path.with_name(f".{path.name}")
    scenario = _scenario(incident, events, rule)
    content = {**_rules(rule, settings, path.parent), "scenarios": [scenario]}
    try:
        passing.write_text(_text(incident, content), "utf-8")
        scenario["expect"]["incidents"] = _played(passing)
        passing.write_text(_text(incident, content), "utf-8")
        passing.replace(path)
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from error
    finally:
        passing.unlink(missing_ok=True)
    return len(events)


def _text(incident: Fields, content: object) -> str:
    text: str = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)
    return f"# Made by `ops-assist incidents export-test {incident['id']}`; secrets are taken out.\n{text}"


def _scenario(incident: Fields, events: Sequence[Fields], rule: Rule) -> dict[str, Any]:
    """The scenario; windows of a rule lie in it as they lay in time."""
    start = min(from_rfc3339(event["timestamp"]) for event in events)
    waits = not isinstance(rule, CountRule)
    start -= (start - START) % rule.window if waits else 0
    ordered = sorted(events, key=lambda event: (event["offset"], event["index"]))
    silence = [{"wait": format_duration(rule.window + rule.lateness + MICROSECONDS)}] if waits else []
    return {
        "name": f"incident {incident['id']} of {incident['service']}",
        "input": [*_input(incident, ordered, start), *silence],
        "expect": {"incidents": [_expected(incident, start)]},
    }


def _played(path: Path) -> list[dict[str, Any]]:
    """The incidents that a scenario file leads to, among them the one that it expects.

    Raises:
        NotGivenError: it is not among them; the text says what is.
    """
    try:
        loaded = load_scenarios(path)
    except InvalidFiles as invalid:
        raise CommandError("; ".join(map(str, invalid.faults))) from invalid
    [scenario] = loaded.scenarios
    run = run_scenario(loaded.rules, scenario.steps)
    found = found_incidents(run)
    [wanted] = scenario.incidents
    if run.outcome().objections or not any(fits(wanted, one) for one in found):
        told = " ".join(line.strip() for line in judge(loaded.file, scenario, loaded.rules).differences)
        raise NotGivenError(
            f"the rules of today make something else of its events without secrets: {told} (- as it was, + now)"
        )
    return [_as_expected(one) for one in found]


def _as_expected(found: Expected) -> dict[str, Any]:
    first, last = (format_duration((moment or START) - START) for moment in (found.first, found.last))
    return {"rule": found.rule, "service": found.service, "count": found.count, "first": first, "last": last}


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
