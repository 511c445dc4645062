"""The detection over the records that led to an incident, and what is not as it was published."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final, Literal

import msgspec

from schemas.incident import Incident
from schemas.timestamps import to_rfc3339
from stream_processor.backtest.findings import Found
from stream_processor.backtest.rule_run import RuleRun
from stream_processor.decisions import Arrival
from stream_processor.rules import RuleSet
from stream_processor.sorting import sort_records
from stream_processor.verify.evidence import Evidence, Place

Result = Literal["match", "mismatch", "expired"]

_SHOWN: Final = 10


class Verdict(msgspec.Struct, frozen=True):
    """Whether an incident is what the log says. `differences`: what is not, a sentence each."""

    result: Result
    differences: list[str] = []


class Derivation:
    """Derives the incidents of one service again from consecutive records of its partition."""

    def __init__(self, evidence: Evidence, rules: RuleSet, partitions: int) -> None:
        self._incident = evidence.incident
        self._evidence = evidence
        self._partitions = partitions
        self._places: dict[str, list[Place]] = defaultdict(list)
        self._run = RuleRun(rules, evidence.incident.partition, evidence.inputs, self._took_in)
        self._rules = rules

    def take(self, records: Sequence[Any]) -> None:
        """Take in records."""
        here = sort_records(records, self._partitions).here
        own: list[Arrival] = here.get(self._incident.service, [])
        self._run.take(records, {self._incident.service: own} if own else {})

    def verdict(self) -> Verdict:
        """What came of them, compared with what was published."""
        found = self._run.findings().incidents
        same = next((one for one in found if one.key == self._incident.key), None)
        if same is None:
            return Verdict("mismatch", [*self._rule_differences(), self._missing(found)])
        differences = _differences(self._incident, same) + self._place_differences()
        return Verdict("mismatch", [*self._rule_differences(), *differences]) if differences else Verdict("match")

    def _took_in(self, key: str, places: list[Place]) -> None:
        self._places[key] += places

    def _place_differences(self) -> list[str]:
        told, derived = set(self._evidence.places), {place for places in self._own_places() for place in places}
        return [
            f"{len(places)} events {what}, by offset/index: {_shown(places)}"
            for what, places in (("only published", told - derived), ("only derived", derived - told))
            if places
        ]

    def _own_places(self) -> list[list[Place]]:
        into = self._run.merged()
        return [places for key, places in self._places.items() if _end_of(key, into) == self._incident.key]

    def _missing(self, found: Sequence[Found]) -> str:
        if not found:
            return "the log gives no incident of this service in that time"
        others = ", ".join(f"{one.rule} {one.key} of {one.event_count} events" for one in found[:_SHOWN])
        return f"the log gives no incident of this key, but {others}"

    def _rule_differences(self) -> list[str]:
        """What is different because the rule has changed since."""
        incident = self._incident
        rule = next((rule for rule in self._rules.rules if rule.name == incident.rule), None)
        if rule is None:
            return [f"no rule {incident.rule} is in force any more"]
        if rule.kind == "count" and (rule.threshold, rule.window) != (incident.threshold, incident.window):
            return [f"rule {incident.rule} has another threshold or window than when the incident opened"]
        return []


def _shown(places: set[Place]) -> str:
    return ", ".join(f"{offset}/{index}" for offset, index in sorted(places)[:_SHOWN])


def _end_of(key: str, into: dict[str, str]) -> str:
    while key in into:
        key = into[key]
    return key


def _differences(published: Incident, derived: Found) -> list[str]:
    pairs = [
        ("event_count", published.event_count, derived.event_count),
        ("first_event_at", to_rfc3339(published.first_event_at), to_rfc3339(derived.first_event_at)),
        ("last_event_at", to_rfc3339(published.last_event_at), to_rfc3339(derived.last_event_at)),
        ("created_at", to_rfc3339(published.created_at), to_rfc3339(derived.detected_at)),
    ]
    return [f"{name}: published {old}, derived {new}" for name, old, new in pairs if old != new]
