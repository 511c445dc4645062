"""Verifying: the log gives the published incident, or the answer names what is different."""

from collections.abc import Sequence

import msgspec
import pytest

from schemas.codec import decode_incident_events
from schemas.incident import Incident
from schemas.timestamps import MICROSECONDS, to_rfc3339
from schemas.topics import INCIDENT_EVENTS
from stream_processor.backtest.inputs import in_order, inputs_of
from stream_processor.processor import Processor
from stream_processor.rules import CountRule, RuleSet
from stream_processor.verify.check import Derivation, Verdict
from stream_processor.verify.evidence import Evidence, places_of, since
from tests.support.memory_log import LogRecord, MemoryPublisher, MemoryRows, event_record

RULE = CountRule("burst", ("ERROR",), 3, 60 * MICROSECONDS, 3600 * MICROSECONDS)
RULES = RuleSet((RULE,), 600 * MICROSECONDS)
START = 1_699_990_000


def error(second: int) -> dict[str, object]:
    at = to_rfc3339((START + second) * MICROSECONDS)
    return {"service": "checkout", "level": "ERROR", "message": "boom", "timestamp": at, "id": f"e{second}"}


class Published:
    """What a processor has published of some records."""

    def __init__(self) -> None:
        self.publisher = MemoryPublisher()
        self.records: list[LogRecord] = []

    async def receive(self, *seconds: int) -> None:
        self.records += [event_record(len(self.records) + n, error(second)) for n, second in enumerate(seconds)]
        await Processor(RULES, MemoryRows(), self.publisher, 1).take_events(0, self.records)

    @property
    def incident(self) -> Incident:
        return max(self.publisher.incidents().values(), key=lambda one: (one.merged_into is None, one.first_event_at))

    def evidence(self, incident: Incident | None = None) -> Evidence:
        incidents = list(self.publisher.incidents().values())
        told = [decode_incident_events(record.value or b"") for record in self.publisher.to(INCIDENT_EVENTS)]
        wanted = incident or self.incident
        inputs = in_order(entry for one in incidents for entry in inputs_of(one.key, one.service, one.timeline))
        return Evidence(wanted, places_of(wanted, incidents, told), inputs)


def verdict(evidence: Evidence, records: Sequence[LogRecord], rules: RuleSet = RULES) -> Verdict:
    derivation = Derivation(evidence, rules, 1)
    for record in records:
        derivation.take([record])
    return derivation.verdict()


async def test_what_the_log_gives_matches() -> None:
    """Also where late events joined two incidents: what was told under both keys is its own."""
    published = Published()
    await published.receive(0, 1, 2, 3700, 3701, 3702, 3500)
    evidence = published.evidence()
    assert (evidence.incident.event_count, len(evidence.places)) == (7, 7)
    assert verdict(evidence, published.records) == Verdict("match")


@pytest.mark.parametrize(
    ("changed", "difference"),
    [
        ({"event_count": 4}, "event_count: published 4, derived 5"),
        ({"first_event_at": 0}, "first_event_at: published 1970-01-01T00:00:00.000000Z, derived"),
        ({"last_event_at": 0}, "last_event_at: published"),
        ({"created_at": 0}, "created_at: published"),
    ],
)
async def test_a_record_that_was_changed_is_a_mismatch(changed: dict[str, int], difference: str) -> None:
    """Each figure is compared."""
    published = Published()
    await published.receive(0, 1, 2, 3, 4)
    evidence = published.evidence()
    forged = msgspec.structs.replace(evidence, incident=msgspec.structs.replace(evidence.incident, **changed))
    found = verdict(forged, published.records)
    assert found.result == "mismatch"
    assert any(one.startswith(difference) for one in found.differences), found


async def test_events_that_were_told_and_are_not_in_the_log_are_named() -> None:
    """And the other way round."""
    published = Published()
    await published.receive(0, 1, 2, 3, 4)
    evidence = published.evidence()
    forged = msgspec.structs.replace(evidence, places=[*evidence.places[:-1], (99, 0)])
    assert verdict(forged, published.records).differences == [
        "1 events only published, by offset/index: 99/0",
        "1 events only derived, by offset/index: 4/0",
    ]


async def test_another_rule_is_named_as_the_cause() -> None:
    """A threshold that has changed, a rule that is gone."""
    published = Published()
    await published.receive(0, 1, 2)
    higher = RuleSet((msgspec.structs.replace(RULE, threshold=4),), 600 * MICROSECONDS)
    other = RuleSet((msgspec.structs.replace(RULE, name="other"),), 600 * MICROSECONDS)
    found = verdict(published.evidence(), published.records, higher)
    assert (found.result, found.differences[0][:40]) == ("mismatch", "rule burst has another threshold or wind")
    assert verdict(published.evidence(), published.records, other).differences[0] == (
        "no rule burst is in force any more"
    )


async def test_a_count_rule_needs_a_part_of_the_log_only() -> None:
    """Its window, the lateness and the quiet period back, five minutes for clocks; more where one was alive."""
    published = Published()
    await published.receive(0, 1, 2, 8000, 8001, 8002)
    incidents = sorted(published.publisher.incidents().values(), key=lambda one: one.first_event_at)
    back = (60 + 600 + 3600 + 300) * MICROSECONDS
    assert since(incidents[1], incidents, RULES) == incidents[1].first_event_at - back
    near = msgspec.structs.replace(incidents[0], last_event_at=incidents[1].first_event_at - 3600 * MICROSECONDS)
    whole = since(incidents[1], [near, incidents[1]], RULES)
    assert whole is not None
    assert whole < near.first_event_at
    assert since(incidents[1], incidents, RuleSet((), 0)) is None
