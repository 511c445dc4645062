"""What the live pipeline has said of its incidents, and people of those that it missed: the newest record of each."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import msgspec
from aiokafka import AIOKafkaConsumer

from schemas.codec import decode_incident, decode_missed_incident
from schemas.incident import Incident
from schemas.topics import INCIDENTS, MISSED_INCIDENTS
from schemas.verdict import MissedIncident
from stream_processor.backtest.compare import Comparison, compare
from stream_processor.backtest.findings import Findings, Found
from stream_processor.backtest.inputs import Input, in_order, inputs_of
from stream_processor.backtest.topic_range import Range, find_ranges, read_range


class Certificate(msgspec.Struct, frozen=True):
    """Whether a backtest gives the incidents that were published. `older`: those that began before the range."""

    matches: bool
    incidents: int
    older: int
    comparison: Comparison


async def read_incidents(consumer: AIOKafkaConsumer, partitions: Iterable[int]) -> list[Incident]:
    """The newest version of each incident of some partitions."""
    newest: dict[str, Incident] = {}
    for wanted in await find_ranges(consumer, INCIDENTS, partitions, None, None):
        async for records in read_range(consumer, INCIDENTS, wanted):
            for record in records:
                if record.value:
                    incident = decode_incident(record.value)
                    known = newest.get(incident.key)
                    if known is None or incident.version > known.version:
                        newest[incident.key] = incident
    return list(newest.values())


async def read_missed(consumer: AIOKafkaConsumer, partitions: Iterable[int]) -> list[MissedIncident]:
    """What people recorded as missed and did not take back, in order of time."""
    known: dict[bytes | None, MissedIncident | None] = {}
    for wanted in await find_ranges(consumer, MISSED_INCIDENTS, partitions, None, None):
        async for records in read_range(consumer, MISSED_INCIDENTS, wanted):
            for record in records:
                known[record.key] = decode_missed_incident(record.value) if record.value else None
    return sorted(filter(None, known.values()), key=lambda one: (one.start, one.service, one.id))


def inputs_by_partition(incidents: Iterable[Incident]) -> dict[int, list[Input]]:
    """What people and the wall clock did to incidents, at its places."""
    found: dict[int, list[Input]] = defaultdict(list)
    for incident in incidents:
        found[incident.partition] += inputs_of(incident.key, incident.service, incident.timeline)
    return {partition: in_order(inputs) for partition, inputs in found.items()}


def certify(incidents: Sequence[Incident], ranges: Iterable[Range], found: Findings) -> Certificate:
    """Compare what a backtest of `ranges` has found with the incidents that were published.

    Those that began before the range are left out: the backtest could not see them open.
    """
    starts = {one.partition: one.start for one in ranges}
    own = [one for one in incidents if one.merged_into is None and one.partition in starts]
    inside = [one for one in own if _starts_in(one, starts)]
    older = {one.key for one in own} - {one.key for one in inside}
    live = Findings([_as_found(one) for one in inside])
    seen = Findings([one for one in found.incidents if one.key not in older])
    comparison = compare(live, seen)
    is_same = not (comparison.added or comparison.lost or comparison.changed) and _keys(live) == _keys(seen)
    return Certificate(is_same, len(inside), len(older), comparison)


def _starts_in(incident: Incident, starts: Mapping[int, int]) -> bool:
    return min((place.offset for place in incident.samples), default=-1) >= starts[incident.partition]


def _keys(findings: Findings) -> set[str]:
    return {one.key for one in findings.incidents}


def _as_found(one: Incident) -> Found:
    return Found(
        one.key,
        one.service,
        one.rule,
        one.status,
        one.event_count,
        one.first_event_at,
        one.last_event_at,
        one.created_at,
        one.lateness,
        one.reason,
        one.previous_key,
    )
