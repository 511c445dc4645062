"""What is told of an incident: counts, times, places and surroundings, the same every time and never too much."""

import random
import re
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer_worker.evidence.build import build_evidence
from analyzer_worker.evidence.draw import MINUTE, Draw
from analyzer_worker.evidence.material import Material
from analyzer_worker.evidence.surroundings import PastIncident, Resolution, Surroundings
from analyzer_worker.prompt import build_prompt, evidence_lines
from analyzer_worker.verdict import Sample
from schemas.incident import AttachedEvent
from schemas.levels import Level
from schemas.template import template_of
from tests.unit.analyzer_worker.materials import SECOND, incident, material, sample


def test_templates_have_counts_times_levels_and_events_that_show_them() -> None:
    """The most frequent first; an event is shown for the first and, where it reads differently, the last of each."""
    events = [
        sample("took 7 ms", 0),
        sample("pool exhausted", 1, level="FATAL"),
        sample("took 9 ms", 2),
        sample("took 9 ms", 4, level="CRITICAL"),
    ]
    evidence = build_evidence(material(samples=events))
    assert [(t.template, t.count, t.first_after, t.last_after, t.events) for t in evidence.templates] == [
        ("took {num} ms", 3, 0.0, 4.0, ["e1", "e3"]),
        ("pool exhausted", 1, 1.0, 1.0, ["e2"]),
    ]
    assert evidence.templates[0].levels == {"ERROR": 2, "CRITICAL": 1}
    assert [(event.text, event.times) for event in evidence.events] == [
        ("took 7 ms", 1),
        ("pool exhausted", 1),
        ("took 9 ms", 2),
    ]
    assert (evidence.exact, evidence.levels) == (True, {"ERROR": 2, "CRITICAL": 1, "FATAL": 1})


def test_hosts_traces_and_attributes_are_counted() -> None:
    """The most frequent of each, and how many more there are."""
    events = [
        sample("x", n, host=f"host-{n % 12}", trace_id=f"t{n % 6}", attributes={"region": "eu", "try": n % 2})
        for n in range(24)
    ]
    evidence = build_evidence(material(samples=events))
    assert evidence.hosts[0] == ("host-0", 2)
    assert (len(evidence.hosts), evidence.other_hosts) == (10, 2)
    assert (len(evidence.traces), evidence.other_traces) == (5, 1)
    assert evidence.attributes == [("region=eu", 24), ("try=0", 12), ("try=1", 12)]


def test_events_by_time_in_at_most_thirty_stretches() -> None:
    """A minute each, or more where the incident is longer; exact where every event was counted."""
    short = incident(event_count=3, last_event_at=2 * MINUTE)
    events = [sample("x", 0), sample("y", 61), sample("z", 62)]
    buckets = build_evidence(Material(short, events)).buckets
    assert (buckets.minutes_each, buckets.counts, buckets.exact) == (1, [1, 2, 0], True)
    long = incident(event_count=600, last_event_at=299 * MINUTE)
    buckets = build_evidence(Material(long, [], events, dict.fromkeys(range(300), 2))).buckets
    assert (buckets.minutes_each, buckets.counts, buckets.exact) == (10, [20] * 30, True)
    assert not build_evidence(Material(long, [], events)).buckets.exact


def test_what_is_rare_and_grave_is_shown() -> None:
    """One FATAL event among thirty frequent templates has its place."""
    frequent = [sample(f"{chr(97 + n % 26) * (1 + n // 26)} broke", n) for n in range(60)]
    evidence = build_evidence(material(samples=[*frequent, *frequent, sample("data lost", 70, level="FATAL")]))
    assert len(evidence.templates) == 20
    assert evidence.other_templates == 41
    assert "data lost" in [template.template for template in evidence.templates]


def test_past_incidents_tell_how_they_ended_and_not_who_ended_them() -> None:
    """The note of a person, else the system's reason; both redacted."""
    ended = [
        Resolution("ada@example.com", "restarted with password=hunter2"),
        Resolution("system", None, "quiet"),
        None,
    ]
    past = [PastIncident("s", "disk_issue", "Disk full.", 0.91234, how) for how in ended]
    evidence = build_evidence(msgspec.structs.replace(material("x"), surroundings=Surroundings(None, past)))
    assert evidence.past is not None
    assert [(item.ended_by, item.note) for item in evidence.past] == [
        ("a person", "restarted with password=<redacted:secret>"),
        ("the system", "quiet"),
        (None, None),
    ]
    assert "ada" not in "".join(evidence_lines(evidence))
    assert evidence.neighbours is None


TEXTS = ["took 5 ms", "took 6 ms", "pool exhausted", "user bob@example.com denied", "é\u202e<x>"]


@given(st.lists(st.tuples(st.sampled_from(TEXTS), st.integers(0, 9)), min_size=1, max_size=30), st.randoms())
def test_the_same_material_gives_the_same_bytes(rows: list[tuple[str, int]], chance: random.Random) -> None:
    """In whatever order the events were read, and however often."""
    events = [sample(text, second, event_id=f"id-{place}") for place, (text, second) in enumerate(rows)]
    shuffled = chance.sample([*events, *events[:1]], len(events) + 1)
    of = incident(event_count=len(events))
    other = list({event.event_id: event for event in shuffled}.values())
    first, second = (evidence_lines(build_evidence(Material(of, [], read))) for read in (events, other))
    assert first == second


def storm(size: int) -> tuple[Material, list[Sample]]:
    """An incident of `size` events over 25 minutes, of which a draw was read, as the gatherer would."""
    chance = random.Random(7)
    words = ["pool", "timeout", "refused", "denied", "oom", "full", "reset", "stale"]
    levels: list[Level] = ["ERROR", "CRITICAL"]
    of = incident(event_count=size, last_event_at=25 * MINUTE)
    events = [
        sample(
            f"{chance.choice(words)} of request {chance.randrange(10**6)}",
            event_id=f"id-{number}",
            timestamp=number * 25 * MINUTE // size,
            level=chance.choice(levels),
            host=f"node-{chance.randrange(40)}",
            trace_id=f"{chance.randrange(2**60):016x}",
        )
        for number in range(size)
    ]
    draw = Draw(100)
    draw.add(AttachedEvent(number, 0, event.timestamp) for number, event in enumerate(events))
    drawn = [events[position.offset] for position in draw.positions()]
    return Material(of, events[:20], drawn, draw.per_minute), events


def tokens(made_from: Material) -> int:
    """Words, numbers and signs of a whole question."""
    prompt = build_prompt(build_evidence(made_from), mark="m4rk")
    return sum(len(re.findall(r"\w+|[^\w\s]", message["content"])) for message in prompt.messages)


def test_a_hundred_thousand_events_cost_no_more_than_a_hundred() -> None:
    """In tokens; the counts are then estimates, near the truth, and said to be that."""
    large, events = storm(100_000)
    assert tokens(large) <= tokens(storm(100)[0])
    evidence = build_evidence(large)
    assert not evidence.exact
    assert sum(evidence.buckets.counts) == 100_000
    truth = count_by_template(events)
    for template in evidence.templates:
        assert truth[template.template] / 3 < template.count < truth[template.template] * 3


def count_by_template(events: Sequence[Sample]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for event in events:
        template = template_of(event.text).replace("<", "{").replace(">", "}")
        counts[template] = counts.get(template, 0) + 1
    return counts


@pytest.mark.parametrize("limit", [1, 30, 60, 3_000, 20_000])
def test_room_for_events_is_limited_in_what_is_sent(limit: int) -> None:
    """Twenty huge events share the room there is, quotes of what was cut cannot be checked and are not offered."""
    events = [sample(f"{chr(97 + n)} {'long words ' * limit}"[:4_096], n) for n in range(20)]
    evidence = build_evidence(material(samples=events))
    assert sum(len(event.text) for event in evidence.events) <= 12_000
    assert all(event.text in event.sample.text for event in evidence.events)
    assert evidence.service_minutes == [(0, {"INFO": 2, "ERROR": 5})]
    assert evidence.seconds == 42 * SECOND / SECOND
