"""The detection gives the incidents that sorting all events and counting by hand would give."""

import random
from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.event import Event
from schemas.incident import Incident
from schemas.timestamps import MICROSECONDS
from stream_processor.decisions import Arrival, Decisions
from stream_processor.detection import detect
from stream_processor.rules import CountRule, RuleSet
from stream_processor.state import ServiceState, new_state, read_state, state_rows
from tests.support.oracle import incidents_of

Answer = list[tuple[str, int, float, float]]


def rule_set(threshold: int, window: int, quiet: int, lateness: int) -> RuleSet:
    rule = CountRule(
        "error-burst", ("ERROR", "CRITICAL", "FATAL"), threshold, window * MICROSECONDS, quiet * MICROSECONDS
    )
    return RuleSet((rule,), lateness * MICROSECONDS)


def arrivals_at(seconds: list[int], level: str = "ERROR") -> list[Arrival]:
    return [
        Arrival(Event(f"e{n}", "checkout", level, "boom", second * MICROSECONDS), n, 0, n * MICROSECONDS)  # type: ignore[arg-type]
        for n, second in enumerate(seconds)
    ]


class Log:
    """Plays arrivals into the detection, in batches, writing the state to rows and reading it back between them."""

    def __init__(self, rules: RuleSet) -> None:
        self.rules = rules
        self.rows: dict[bytes, bytes] = {}
        self.published: dict[str, Incident] = {}
        self.linked: dict[str, list[tuple[int, int]]] = defaultdict(list)
        self.state: ServiceState = new_state("checkout")
        self.ledger: dict[str, int] = defaultdict(int)

    def play(self, batch: list[Arrival]) -> None:
        decisions = Decisions(partition=0)
        self.state = read_state("checkout", self.rows.get)
        detect(self.state, batch, self.rules, decisions)
        self.keep(decisions)

    def keep(self, decisions: Decisions) -> None:
        for key, value in state_rows(self.state).items():
            if value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = value
        for incident in decisions.incidents():
            before = self.published.get(incident.key)
            assert before is None or incident.version > before.version
            self.published[incident.key] = incident
        for record in decisions.events(most=3):
            self.linked[record.key] += [(event.offset, event.index) for event in record.events]
        for reason, count in decisions.ledger.items():
            self.ledger[reason] += count

    def incidents(self) -> list[Incident]:
        return [incident for incident in self.published.values() if incident.merged_into is None]

    def answer(self) -> Answer:
        return sorted(
            (i.service, i.event_count, i.first_event_at / MICROSECONDS, i.last_event_at / MICROSECONDS)
            for i in self.incidents()
        )


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[int], int, int, int, int]:
    """Event times in order of arrival (seconds), and threshold, window, quiet period and allowed lateness."""
    threshold = draw(st.integers(1, 6))
    window = draw(st.integers(0, 30))
    quiet = draw(st.sampled_from([0, window + draw(st.integers(1, 60))]))
    gaps = draw(st.lists(st.integers(0, 12) | st.integers(20, 120), max_size=60))
    times = [sum(gaps[: n + 1]) for n in range(len(gaps))]
    lateness = draw(st.integers(0, 90))
    delays = draw(st.lists(st.integers(0, lateness), min_size=len(times), max_size=len(times)))
    order = sorted(range(len(times)), key=lambda n: (times[n] + delays[n], n))
    return [times[n] for n in order], threshold, window, quiet, lateness


@settings(max_examples=600, deadline=None)
@given(history=histories(), cuts=st.lists(st.integers(1, 9), min_size=1, max_size=8))
def test_out_of_order_within_lateness_gives_the_in_order_incidents(
    history: tuple[list[int], int, int, int, int], cuts: list[int]
) -> None:
    """Whatever the order within the allowed lateness and the cut into batches: same incidents, counts and times."""
    seconds, threshold, window, quiet, lateness = history
    log = Log(rule_set(threshold, window, quiet, lateness))

    rest, turn = arrivals_at(seconds), 0
    while rest:
        size = cuts[turn % len(cuts)]
        log.play(rest[:size])
        rest, turn = rest[size:], turn + 1

    expected = incidents_of((("checkout", "ERROR", float(s)) for s in seconds), threshold, window, quiet)
    assert log.answer() == expected
    for incident in log.incidents():
        gone = [key for key, other in log.published.items() if final(log, other) == incident.key]
        links = [place for key in {*gone, incident.key} for place in log.linked[key]]
        assert len(links) == len(set(links)) == incident.event_count
    assert sum(log.ledger.values()) == len(seconds)
    assert log.ledger["late"] == 0


def final(log: Log, incident: Incident) -> str:
    while incident.merged_into:
        incident = log.published[incident.merged_into]
    return incident.key


@settings(max_examples=300, deadline=None)
@given(history=histories(), seed=st.integers(0, 2**32))
def test_batches_and_redelivery_do_not_change_records(history: tuple[list[int], int, int, int, int], seed: int) -> None:
    """A crash at any point, replayed from any earlier record in other batches, publishes the very same records."""
    seconds, threshold, window, quiet, lateness = history
    rules = rule_set(threshold, window, quiet, lateness)
    arrivals = arrivals_at(seconds)
    undisturbed = Log(rules)
    for arrival in arrivals:
        undisturbed.play([arrival])

    dice = random.Random(seed)
    disturbed, at = Log(rules), 0
    while at < len(arrivals):
        start, end = dice.randint(0, at), dice.randint(at + 1, len(arrivals))
        if dice.random() < 0.3:
            forgotten = Log(rules)  # computed and perhaps published, but its rows were never written
            forgotten.rows = dict(disturbed.rows)
            forgotten.play(arrivals[start:end])
            continue
        disturbed.play(arrivals[start:end])
        at = end

    assert disturbed.published == undisturbed.published


@pytest.mark.parametrize(
    ("seconds", "count"),
    [
        ([0, 75, 150, 225, 300], 5),
        ([0, 75, 150, 225, 301], 0),
        ([0, 0, 0, 0, 0], 5),
        ([0, 100, 200, 300], 0),
        ([0, 301, 310, 320, 330, 340, 3940, 7541], 6),
    ],
)
def test_the_interval_holds_both_its_ends(seconds: list[int], count: int) -> None:
    """Five events within exactly 300 s open an incident; within 301 s they do not."""
    log = Log(rule_set(5, 300, 3600, 600))

    log.play(arrivals_at(seconds))

    assert [incident.event_count for incident in log.incidents()] == ([count] if count else [])


@pytest.mark.parametrize("level", ["WARNING", "INFO", "DEBUG"])
def test_lower_levels_never_count(level: str) -> None:
    """A flood below ERROR opens nothing and is counted as such."""
    log = Log(rule_set(5, 300, 3600, 600))

    log.play(arrivals_at([1] * 50, level))

    assert log.incidents() == []
    assert log.ledger == {"below_level": 50}


def test_an_id_counts_once() -> None:
    """Ten deliveries of one event are one event."""
    log = Log(rule_set(2, 300, 3600, 600))
    once = arrivals_at([5])[0]

    log.play([Arrival(once.event, n, 0, n) for n in range(10)])

    assert log.incidents() == []
    assert log.ledger == {"qualified": 1, "duplicate": 9}


def test_a_large_batch_sent_twice_counts_once() -> None:
    """Ten thousand ids are remembered, over more than one row, and across restarts."""
    log = Log(rule_set(5, 300, 3600, 600))
    batch = arrivals_at([n // 100 for n in range(10_000)])
    log.play(batch[:5_000])
    log.play(batch[5_000:])

    log.play([Arrival(a.event, a.offset + 10_000, 0, a.received_at) for a in batch])

    assert [incident.event_count for incident in log.incidents()] == [10_000]
    assert log.ledger["duplicate"] == 10_000


def test_what_comes_too_late_is_named_late() -> None:
    """An event more than the allowed lateness behind the newest does not count; one exactly that far behind does."""
    log = Log(rule_set(3, 700, 0, 600))

    log.play(arrivals_at([1000, 1000, 399, 400]))

    assert log.ledger["late"] == 1
    assert [(i.event_count, i.first_event_at, i.lateness) for i in log.incidents()] == [
        (3, 400 * MICROSECONDS, 600 * MICROSECONDS)
    ]
