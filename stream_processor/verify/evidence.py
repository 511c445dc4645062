"""What was published of an incident, and which records of the log led to it."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from schemas.event import MAX_FUTURE
from schemas.incident import Incident, IncidentEvents
from stream_processor.backtest.inputs import Input
from stream_processor.explain.history import KnownIncident, look_back
from stream_processor.rules import CountRule, RuleSet

Place = tuple[int, int]
"""An event's place in its partition: its record's offset and its index in the record's array."""


class Evidence(msgspec.Struct, frozen=True):
    """An incident, the places of its events as they were told, and what people and the clock did in its service."""

    incident: Incident
    places: Sequence[Place]
    inputs: Sequence[Input]


def places_of(incident: Incident, all_of_service: Iterable[Incident], told: Iterable[IncidentEvents]) -> list[Place]:
    """The events of an incident in the order in which they were told, with those of what was merged into it.

    Of events that were told after `incident` was read, none is given: it does not count them.
    """
    into = {one.key: one.merged_into for one in all_of_service}
    places: dict[Place, None] = {}
    for record in told:
        key: str | None = record.key
        while key is not None and key != incident.key:
            key = into.get(key)
        if key is not None:
            places.update(((event.offset, event.index), None) for event in record.events)
    return list(places)[: incident.event_count]


def since(incident: Incident, all_of_service: Iterable[Incident], rules: RuleSet) -> int | None:
    """When the first record can have been appended that had a part in an incident (microseconds); None: at any time.

    Rules of kind count forget; what the others know of a service may go back to its first event.
    """
    rule = next((rule for rule in rules.rules if rule.name == incident.rule), None)
    if not isinstance(rule, CountRule):
        return None
    known = [
        KnownIncident(0, one.key, one.rule, one.status, one.event_count, one.first_event_at, one.last_event_at)
        for one in all_of_service
        if one.rule == incident.rule and one.first_event_at <= incident.first_event_at
    ]
    return look_back(rules, known, incident.first_event_at) - MAX_FUTURE


def by_service(incidents: Iterable[Incident]) -> dict[str, list[Incident]]:
    """Incidents by their service."""
    found: dict[str, list[Incident]] = defaultdict(list)
    for one in incidents:
        found[one.service].append(one)
    return found
