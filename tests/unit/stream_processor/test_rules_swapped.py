"""Rules change between any two batches: unchanged rules notice nothing, and no event is lost or counted twice."""

import asyncio
from collections import Counter
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.codec import decode_incident_events
from schemas.incident import Incident
from schemas.timestamps import MICROSECONDS, to_rfc3339
from schemas.topics import INCIDENT_EVENTS
from stream_processor.processor import Processor
from stream_processor.rules import CountRule, RuleSet
from tests.support.memory_log import LogRecord, MemoryPublisher, MemoryRows, event_record

START: Final = 1_699_990_000
LATENESS: Final = 60 * MICROSECONDS
KEPT: Final = CountRule("kept", ("ERROR",), 3, 20 * MICROSECONDS, 60 * MICROSECONDS)
ROUNDS: Final = st.lists(
    st.tuples(
        st.one_of(st.none(), st.tuples(st.integers(1, 6), st.integers(1, 60), st.integers(0, 120))),
        st.lists(st.integers(0, 200), max_size=8),
    ),
    min_size=2,
    max_size=6,
)
"""For each round the other rule (threshold, window, quiet period), or none, and the seconds of the events."""

Rounds = list[tuple[tuple[int, int, int] | None, list[int]]]


def rule_set(other: tuple[int, int, int] | None) -> RuleSet:
    if other is None:
        return RuleSet((KEPT,), LATENESS)
    threshold, window, quiet = other
    changing = CountRule("changing", ("ERROR",), threshold, window * MICROSECONDS, quiet * MICROSECONDS)
    return RuleSet((changing, KEPT), LATENESS)


def record(offset: int, second: int) -> LogRecord:
    at = to_rfc3339((START + second) * MICROSECONDS)
    event: dict[str, object] = {
        "service": "checkout",
        "level": "ERROR",
        "message": "boom",
        "timestamp": at,
        "id": f"e{offset}",
    }
    return event_record(offset, event)


class Run:
    """The rounds through one processor, which is put away after each swap where `restarts` says so."""

    def __init__(self, rounds: Rounds, *, swaps: bool, restarts: bool) -> None:
        self.publisher = MemoryPublisher()
        rows = MemoryRows()
        processor = Processor(rule_set(None), rows, self.publisher, 1)
        offset = 0
        for other, seconds in rounds:
            rules = rule_set(other if swaps else None)
            processor.use_rules(rules, lambda _: rows.rows)
            if restarts:
                processor = Processor(rules, rows, self.publisher, 1)
                processor.recovered(0, rows.rows, START * MICROSECONDS)
            records = [record(offset + n, second) for n, second in enumerate(seconds)]
            asyncio.run(processor.take_events(0, records))
            offset += len(records)

    def incidents(self, rule: str) -> list[Incident]:
        return [incident for incident in self.publisher.incidents().values() if incident.rule == rule]

    def taken(self, rule: str) -> Counter[tuple[int, int]]:
        """How often each event was said to belong to an incident of the rule."""
        keys = {incident.key for incident in self.incidents(rule)}
        said = [decode_incident_events(out.value or b"") for out in self.publisher.to(INCIDENT_EVENTS)]
        return Counter((event.offset, event.index) for of in said if of.key in keys for event in of.events)


@settings(max_examples=100, deadline=None)
@given(ROUNDS)
def test_an_unchanged_rule_does_not_notice_what_happens_to_another(rounds: Rounds) -> None:
    """Its incidents are those of a run in which it was alone all the time."""
    swapped = Run(rounds, swaps=True, restarts=False)
    alone = Run(rounds, swaps=False, restarts=False)
    assert swapped.incidents("kept") == alone.incidents("kept")


@settings(max_examples=100, deadline=None)
@given(ROUNDS)
def test_a_rule_that_changes_counts_each_event_once(rounds: Rounds) -> None:
    """However it comes, goes and changes: no event is in two of its incidents, and counts are those of the events."""
    run = Run(rounds, swaps=True, restarts=False)
    taken = run.taken("changing")
    assert set(taken.values()) <= {1}
    counted = sum(incident.event_count for incident in run.incidents("changing") if incident.merged_into is None)
    assert counted == taken.total()


@settings(max_examples=100, deadline=None)
@given(ROUNDS)
def test_a_crash_right_after_a_swap_changes_nothing(rounds: Rounds) -> None:
    """A new processor that reads the state and the new rules decides as the old one would have."""
    swapped = Run(rounds, swaps=True, restarts=False)
    restarted = Run(rounds, swaps=True, restarts=True)
    assert swapped.publisher.incidents() == restarted.publisher.incidents()
