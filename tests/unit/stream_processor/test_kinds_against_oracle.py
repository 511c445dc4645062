"""Rules of every kind give the incidents that sorting all events and counting each window by hand would give."""

from collections import defaultdict
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.event import Event
from schemas.incident import Incident
from schemas.levels import Level
from schemas.timestamps import MICROSECONDS
from stream_processor import patterns
from stream_processor.decisions import Arrival, Decisions
from stream_processor.detection import detect
from stream_processor.kind_states import Bunch
from stream_processor.rules import CountRule, PatternRule, RateRule, RatioRule, Rule, RuleSet
from stream_processor.state import read_state, state_rows
from tests.support.kinds_oracle import (
    Sent,
    Span,
    chained,
    pattern_qualifying,
    rate_qualifying,
    ratio_qualifying,
)
from tests.support.oracle import incidents_of

LEVELS: tuple[Level, ...] = ("ERROR", "FATAL")


class Plan(NamedTuple):
    """Events in order of arrival, some of them more than once, and the numbers of the rules."""

    arrivals: list[tuple[int, Sent]]
    window: int
    lateness: int
    longer: int
    threshold: int
    quiet: int
    cuts: list[int]

    @property
    def events(self) -> list[Sent]:
        return list(dict(self.arrivals).values())


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Gaps as within a burst and as between bursts, delays up to the lateness that all rules allow."""
    lateness = draw(st.integers(0, 20))
    size = draw(st.integers(1, 60))
    gap = st.sampled_from([0, 0, 0, 1, 1, 2, 3, 5, 8, 13, 40])
    gaps = draw(st.lists(gap, min_size=size, max_size=size))
    times = [sum(gaps[: n + 1]) for n in range(len(gaps))]
    sent = [
        (n, Sent(time, draw(st.integers(0, 9)) < 7, draw(st.sampled_from("abcdefghijklmnop"))))
        for n, time in enumerate(times)
    ]
    delays = draw(st.lists(st.integers(0, lateness), min_size=len(sent), max_size=len(sent)))
    order = sorted(sent, key=lambda one: (one[1].time + delays[one[0]], one[0]))
    window = draw(st.integers(1, 12))
    return Plan(
        [one for one in order for _ in range(draw(st.sampled_from([1, 1, 1, 1, 2])))],
        max(window, 1),
        lateness,
        lateness + draw(st.integers(0, 20)),
        draw(st.integers(1, 4)),
        draw(st.sampled_from([0, 1, 30])),
        draw(st.lists(st.integers(1, 9), min_size=1, max_size=6)),
    )


def rules_of(plan: Plan) -> list[Rule]:
    """One of each kind, with latenesses of their own."""
    window, quiet = plan.window * MICROSECONDS, plan.quiet * MICROSECONDS
    own, longer = plan.lateness * MICROSECONDS, plan.longer * MICROSECONDS
    return [
        CountRule("count", LEVELS, plan.threshold, window, quiet, allowed_lateness=longer),
        RateRule(
            *("rate", LEVELS, 1, window, quiet),
            allowed_lateness=longer,
            multiple=1.5,
            floor=plan.threshold,
            baseline_windows=5,
            learning_windows=2,
        ),
        RatioRule("ratio", LEVELS, 1, window, quiet, allowed_lateness=own, share=0.5, minimum=plan.threshold),
        PatternRule(
            *("pattern", LEVELS, plan.threshold, window + own, quiet),
            allowed_lateness=own,
            learning_period=max(own, 12 * MICROSECONDS),
        ),
    ]


def expected(plan: Plan, rule: str) -> list[Span]:
    """What the oracles say."""
    events, window, quiet = plan.events, plan.window, plan.quiet and max(plan.quiet, plan.window)
    match rule:
        case "count":
            errors = [("s", "ERROR" if event.is_error else "INFO", float(event.time)) for event in events]
            found = incidents_of(errors, plan.threshold, window, quiet)
            return [(count, int(first), int(last)) for _, count, first, last in found]
        case "rate":
            limits = {"multiple": 1.5, "floor": plan.threshold, "baseline": 5, "learning": 2}
            return chained(rate_qualifying(events, window=window, lateness=plan.longer, **limits), quiet)  # type: ignore[arg-type]
        case "ratio":
            share = {"share": 0.5, "minimum": plan.threshold, "lateness": plan.lateness}
            return chained(ratio_qualifying(events, window=window, **share), quiet)  # type: ignore[arg-type]
    pattern_quiet = plan.quiet and max(plan.quiet, plan.window + plan.lateness)
    return chained(
        pattern_qualifying(
            events,
            window=window + plan.lateness,
            threshold=plan.threshold,
            learning=max(plan.lateness, 12),
            lateness=plan.lateness,
        ),
        pattern_quiet,
    )


class Played:
    """What came of a plan: the newest version of each incident, the links and how the events ended."""

    def __init__(self, plan: Plan, rules: list[Rule]) -> None:
        self.incidents: dict[str, Incident] = {}
        self.links: dict[str, int] = defaultdict(int)
        self.ledger: dict[str, int] = defaultdict(int)
        self.rows: dict[bytes, bytes] = {}
        in_force = RuleSet(tuple(rules), 0)
        rest, turn = self.arrivals(plan), 0
        while rest:
            size = plan.cuts[turn % len(plan.cuts)]
            self.play(rest[:size], in_force)
            rest, turn = rest[size:], turn + 1

    @staticmethod
    def arrivals(plan: Plan) -> list[Arrival]:
        return [
            Arrival(
                Event(f"e{n}", "s", "ERROR" if sent.is_error else "INFO", f"case {sent.template}", micros(sent.time)),
                offset,
                0,
                offset,
            )
            for offset, (n, sent) in enumerate(plan.arrivals)
        ]

    def play(self, batch: list[Arrival], rules: RuleSet) -> None:
        decisions = Decisions(0)
        state = read_state("s", self.rows.get)
        detect(state, batch, rules, decisions)
        for key, row in state_rows(state).items():
            if row is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = row
        for incident in decisions.incidents():
            assert incident.key not in self.incidents or incident.version > self.incidents[incident.key].version
            self.incidents[incident.key] = incident
        for record in decisions.events(most=3):
            self.links[self.final(record.key)] += len(record.events)
        for reason, count in decisions.ledger.items():
            self.ledger[reason] += count

    def final(self, key: str) -> str:
        while (into := self.incidents[key].merged_into) is not None:
            key = into
        return key

    def spans(self, rule: str) -> list[Span]:
        return sorted(
            (i.event_count, i.first_event_at // MICROSECONDS, i.last_event_at // MICROSECONDS)
            for i in self.incidents.values()
            if i.rule == rule and not i.merged_into
        )


def micros(seconds: int) -> int:
    return seconds * MICROSECONDS


@settings(max_examples=120, deadline=None)
@given(plan=plans())
def test_every_kind_gives_the_in_order_incidents(plan: Plan) -> None:
    """All kinds at once, out of order within each one's lateness, with repeats, in any batches."""
    rules = rules_of(plan)
    played = Played(plan, rules)

    for rule in rules:
        assert played.spans(rule.name) == sorted(expected(plan, rule.name)), rule.name
    assert sum(played.ledger.values()) == len(plan.arrivals)
    assert played.ledger["duplicate"] == len(plan.arrivals) - len(plan.events)
    assert played.ledger["late"] == 0
    merged = {key for key, incident in played.incidents.items() if incident.merged_into}
    links: dict[str, int] = defaultdict(int)
    for key, count in played.links.items():
        links[played.final(key)] += count
    assert links == {key: i.event_count for key, i in played.incidents.items() if key not in merged}


@settings(max_examples=50, deadline=None)
@given(plan=plans())
def test_what_is_not_kept_is_counted_all_the_same(plan: Plan) -> None:
    """With room for three events of a window: the same counts, first and last event times."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Bunch.add, "__defaults__", (3,))
        patch.setattr(patterns, "MOST_WAITING", 3)
        rules = rules_of(plan)
        played = Played(plan, rules)

    for rule in rules:
        assert played.spans(rule.name) == sorted(expected(plan, rule.name)), rule.name


@settings(max_examples=40, deadline=None)
@given(plan=plans())
def test_kinds_do_not_disturb_each_other(plan: Plan) -> None:
    """All rules at once publish what each publishes alone, but for the minutes beside it, which count repeats."""
    rules = rules_of(plan)
    together = Played(plan, rules).incidents
    alone = {key: incident for rule in rules for key, incident in Played(plan, [rule]).incidents.items()}

    assert list(map(without_minutes, together.values())) == [without_minutes(alone[key]) for key in together]
    assert together.keys() == alone.keys()


def without_minutes(incident: Incident) -> Incident:
    return msgspec.structs.replace(incident, minutes=[])
