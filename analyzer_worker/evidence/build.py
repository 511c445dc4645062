"""Material to evidence: a pure function, so that the same material gives the same bytes."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from analyzer_worker.evidence.draw import MINUTE
from analyzer_worker.evidence.facts import Buckets, Counted, Evidence, NeighbourFacts, PastFacts, SentEvent
from analyzer_worker.evidence.material import Material
from analyzer_worker.evidence.outgoing import Gate
from analyzer_worker.evidence.surroundings import Neighbour, PastIncident, seconds_apart
from analyzer_worker.evidence.templates import (
    MAX_EVENT,
    Group,
    group_events,
    send_events,
    shown,
    template_facts,
)
from analyzer_worker.verdict import Sample
from schemas.incident import SYSTEM, Incident
from schemas.levels import LEVELS
from schemas.timestamps import MICROSECONDS

MAX_BUCKETS: Final = 30
MAX_SERVICE_MINUTES: Final = 15
MAX_HOSTS: Final = 10
MAX_TRACES: Final = 5
MAX_ATTRIBUTES: Final = 10
MAX_NAME: Final = 100
MAX_ATTRIBUTE: Final = 120
MAX_SUMMARY: Final = 300
MAX_NOTE: Final = 400


def build_evidence(material: Material) -> Evidence:
    """What may be told of an incident."""
    gate = Gate()
    incident, counted = material.incident, material.counted
    exact = len(counted) >= incident.event_count
    scale = max(1.0, incident.event_count / len(counted)) if counted else 1.0
    groups = _groups(material, gate)
    listed = shown(groups)
    sent = send_events(listed, incident.first_event_at)
    hosts = _most_frequent((sample.host for sample in counted), MAX_HOSTS, scale, gate)
    traces = _most_frequent((sample.trace_id for sample in counted), MAX_TRACES, scale, gate)
    attributes = _most_frequent(_pairs(counted), MAX_ATTRIBUTES, scale, gate)
    around = material.surroundings
    return Evidence(
        service=gate.outgoing(incident.service, MAX_NAME),
        rule=gate.outgoing(incident.rule, MAX_NAME),
        why=gate.outgoing(incident.reason, MAX_SUMMARY),
        event_count=incident.event_count,
        seconds=round((incident.last_event_at - incident.first_event_at) / MICROSECONDS, 1),
        read=len(material.events),
        exact=exact,
        levels=_levels(counted, scale),
        buckets=_buckets(material, scale),
        service_minutes=_service_minutes(incident),
        hosts=hosts[0],
        other_hosts=hosts[1],
        traces=traces[0],
        other_traces=traces[1],
        attributes=attributes[0],
        templates=[template_facts(group, sent[group.template], scale, incident.first_event_at) for group in listed],
        other_templates=len(groups) - len(listed),
        events=_numbered(sent.values()),
        neighbours=None if around.neighbours is None else [_neighbour(n, incident, gate) for n in around.neighbours],
        past=None if around.past is None else [_past(item, gate) for item in around.past],
        redacted=dict(sorted(gate.counts.items())),
    )


def _groups(material: Material, gate: Gate) -> list[Group]:
    read = [(sample, gate.outgoing(sample.text, MAX_EVENT)) for sample in material.events]
    return group_events(read, Counter(sample.event_id for sample in material.counted))


def _numbered(sent: Iterable[Sequence[SentEvent]]) -> list[SentEvent]:
    return sorted((event for events in sent for event in events), key=lambda event: int(event.id[1:]))


def _levels(counted: Sequence[Sample], scale: float) -> dict[str, int]:
    found = Counter(sample.level for sample in counted)
    return {level: max(1, round(found[level] * scale)) for level in LEVELS if level in found}


def _buckets(material: Material, scale: float) -> Buckets:
    """Events by time in at most `MAX_BUCKETS` even stretches of whole minutes."""
    first = material.incident.first_event_at // MINUTE
    minutes = max(1, material.incident.last_event_at // MINUTE - first + 1)
    each = -(-minutes // MAX_BUCKETS)
    counts = [0.0] * -(-minutes // each)
    exact = material.per_minute is not None or len(material.counted) >= material.incident.event_count
    per_minute = material.per_minute or Counter(sample.timestamp // MINUTE for sample in material.counted)
    for minute, count in per_minute.items():
        place = (minute - first) // each
        if 0 <= place < len(counts):
            counts[place] += count if material.per_minute else count * scale
    return Buckets(each, [round(count) for count in counts], exact)


def _service_minutes(incident: Incident) -> list[tuple[int, dict[str, int]]]:
    first = incident.first_event_at // MINUTE
    newest = sorted(incident.minutes, key=lambda count: count.minute)[-MAX_SERVICE_MINUTES:]
    return [(m.minute - first, {level: m.by_level[level] for level in LEVELS if level in m.by_level}) for m in newest]


def _pairs(samples: Sequence[Sample]) -> Iterable[str]:
    return (f"{name}={value}" for sample in samples for name, value in (sample.attributes or {}).items())


def _most_frequent(texts: Iterable[str | None], most: int, scale: float, gate: Gate) -> tuple[Counted, int]:
    """The most frequent texts as they may leave, and how many others there are."""
    found: Counter[str] = Counter()
    for text in texts:
        if text and (clean := gate.outgoing(text, MAX_ATTRIBUTE)):
            found[clean] += 1
    ranked = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    return [(text, round(count * scale)) for text, count in ranked[:most]], max(0, len(ranked) - most)


def _neighbour(neighbour: Neighbour, incident: Incident, gate: Gate) -> NeighbourFacts:
    return NeighbourFacts(
        service=gate.outgoing(neighbour.service, MAX_NAME),
        category=gate.outgoing(neighbour.category, MAX_NAME),
        severity=gate.outgoing(neighbour.severity, MAX_NAME),
        opened_after=round(seconds_apart(neighbour, incident)),
        events=neighbour.event_count,
    )


def _past(item: PastIncident, gate: Gate) -> PastFacts:
    ended = item.resolution
    note = (ended.note or ended.reason) if ended else None
    return PastFacts(
        service=gate.outgoing(item.service, MAX_NAME),
        category=gate.outgoing(item.category, MAX_NAME),
        summary=gate.outgoing(item.summary, MAX_SUMMARY),
        similarity=round(item.similarity, 2),
        # Who it was is nobody's business outside; whether it was a person is.
        ended_by=("the system" if ended.actor == SYSTEM else "a person") if ended else None,
        note=gate.outgoing(note, MAX_NOTE) if note else None,
    )
