"""Explaining a service's past gives what the detection made of it when it happened."""

from collections import Counter

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.event import Event
from schemas.incident import Incident
from schemas.levels import Level
from schemas.lifecycle import ACTIVE, Status
from schemas.status_change import StatusChange
from schemas.timestamps import MICROSECONDS
from stream_processor.decisions import Arrival, Decisions
from stream_processor.detection import detect
from stream_processor.explain.history import History, KnownIncident, PersonsChange, SeenEvent
from stream_processor.explain.report import RuleReport, explain
from stream_processor.ledger import Reason
from stream_processor.lifecycle import change_status, fall_quiet_by_clock
from stream_processor.rules import CountRule, RuleSet
from stream_processor.span import Span
from stream_processor.state import EndedRow, new_state

ERRORS = CountRule("errors", ("ERROR",), 3, 20 * MICROSECONDS, 60 * MICROSECONDS)
WARNINGS = CountRule("warnings", ("WARNING",), 2, 5 * MICROSECONDS, 0)
RULES = RuleSet((ERRORS, WARNINGS), 30 * MICROSECONDS)

LATER = 10**6 * MICROSECONDS

Input = tuple[int, Level] | Status


class Live:
    """The detection as it runs, with what the view knows of it afterwards."""

    def __init__(self, wall: int) -> None:
        self.state = new_state("checkout")
        self.events: list[Event] = []
        self.incidents: dict[str, Incident] = {}
        self.ended: dict[str, EndedRow] = {}
        self.taken_by: dict[int, str] = {}
        self.reasons: dict[str, Counter[Reason]] = {rule.name: Counter() for rule in RULES.rules}
        """How each event ended for each rule; no event is of the level of both."""
        self.clock = 0
        """The newest event time."""
        self.wall = wall
        self.received: list[int] = []

    def take(self, second: int, level: Level) -> None:
        number = len(self.events)
        event = Event(f"e{number}", "checkout", level, "boom", second * MICROSECONDS)
        self.events.append(event)
        self.clock = max(self.clock, event.timestamp)
        self.wall = max(self.wall + 1, self.clock)
        self.received.append(self.wall)
        decisions = Decisions(0)
        detect(self.state, [Arrival(event, number, 0, self.wall)], RULES, decisions)
        self.keep(decisions)
        [reason] = decisions.ledger
        for rule in RULES.rules:
            self.reasons[rule.name][reason if level in rule.levels or reason == "late" else "below_level"] += 1

    def change(self, to: Status) -> None:
        """A person sets the newest incident that is active; those that fell quiet are resolved by then."""
        self.wall += 1
        self.wait()
        for incident in reversed(self.incidents.values()):
            if incident.status in ACTIVE and incident.merged_into is None:
                decisions = Decisions(0)
                made = StatusChange(f"c{self.wall}", incident.key, "checkout", to, "ann", self.wall)
                change_status(self.state, self.ended.get(incident.key), made, RULES, decisions)
                self.keep(decisions)
                return

    def wait(self) -> None:
        """What the processor does every few seconds."""
        decisions = Decisions(0)
        fall_quiet_by_clock(self.state, RULES, self.wall, decisions)
        self.keep(decisions)

    def newest_span(self, rule: str) -> Span | None:
        known = self.state.rules.get(rule)
        return known.spans[-1] if known and known.spans else None

    def keep(self, decisions: Decisions) -> None:
        for incident in decisions.incidents():
            self.incidents[incident.key] = incident
        for record in decisions.events(most=1_000):
            self.taken_by |= {event.offset: record.key for event in record.events}
        for row in decisions.ended_rows():
            self.ended[row.span.key] = row

    def history(self) -> History:
        """What the view would tell: merged incidents are part of another."""
        shown = {
            key: number for number, key in enumerate(self.incidents, start=1) if not self.incidents[key].merged_into
        }
        events = [
            SeenEvent(event, number, 0, self.received[number], shown.get(self._owner(number)))
            for number, event in enumerate(self.events)
        ]
        known = [self._known(key, number) for key, number in shown.items()]
        return History("checkout", 0, self.clock, events, known)

    def _owner(self, number: int) -> str:
        key = self.taken_by.get(number, "")
        while key and (into := self.incidents[key].merged_into):
            key = into
        return key

    def _known(self, key: str, number: int) -> KnownIncident:
        one = self.incidents[key]
        changes = [
            PersonsChange(change.at, change.to_status, change.actor)
            for change in one.timeline
            if change.what == "status_changed" and change.to_status
        ]
        return KnownIncident(
            number, key, one.rule, one.status, one.event_count, one.first_event_at, one.last_event_at, changes
        )


@st.composite
def histories(draw: st.DrawFn) -> list[Input]:
    """Errors and warnings of which some come out of order or late, and a person's changes between them."""
    inputs: list[Input] = []
    now = 100
    for _ in range(draw(st.integers(0, 40))):
        now += draw(st.sampled_from([0, 1, 3, 8, 25, 70]))
        level: Level = draw(st.sampled_from(["ERROR", "ERROR", "WARNING", "INFO"]))
        inputs.append((now - draw(st.sampled_from([0, 0, 0, 2, 10, 29, 40])), level))
        if draw(st.integers(0, 9)) == 0:
            inputs.append(draw(st.sampled_from(["investigating", "resolved", "closed"])))
    return inputs


def live_of(inputs: list[Input], wall: int = 0) -> Live:
    """The inputs played; where `wall` (microseconds) is later than the events, they are of long ago."""
    live = Live(wall)
    for one in inputs:
        if isinstance(one, tuple):
            live.take(*one)
        else:
            live.change(one)
    return live


@settings(max_examples=100, deadline=None)
@given(histories(), st.sampled_from([0, LATER]))
def test_now_a_history_is_explained_as_it_was_detected(inputs: list[Input], wall: int) -> None:
    """The same active incidents with the same counts, and each event with its reason."""
    live = live_of(inputs, wall)
    live.wait()
    report = explain(msgspec.structs.replace(live.history(), at=live.wall), RULES, is_past=False)
    for told in report.rules:
        span = live.newest_span(told.rule.name)
        assert in_short(told) == (None if span is None or not span.is_active else (span.key, span.count, span.status))
        assert told.reasons == live.reasons[told.rule.name]


@settings(max_examples=100, deadline=None)
@given(histories(), st.sampled_from([0, LATER]))
def test_the_time_of_the_last_event_is_explained_as_it_was_detected(inputs: list[Input], wall: int) -> None:
    """What is active lies within its quiet period; where nothing is, the window is not full."""
    while inputs and not isinstance(inputs[-1], tuple):
        inputs = inputs[:-1]
    live = live_of(inputs, wall)
    for told in explain(live.history(), RULES, is_past=True).rules:
        span = live.newest_span(told.rule.name)
        if span is None or not span.is_active or live.clock > told.rule.ends_at(span.alive_at):
            assert in_short(told) is None
            assert told.standing.count < told.rule.threshold
        else:
            assert in_short(told) == (span.key, span.count, span.status)
        assert told.reasons == live.reasons[told.rule.name]


def in_short(told: RuleReport) -> tuple[str, int, Status] | None:
    found = told.incident
    return None if found is None else (found.key, found.event_count, found.status)


def report_at(at: int, events: list[tuple[int, Level]], *, is_past: bool = True) -> RuleReport:
    """What the rule `errors` makes of events up to a second."""
    live = live_of([event for event in events if event[0] <= at])
    history = live.history()
    asked = History("checkout", 0, at * MICROSECONDS, history.events, history.incidents)
    return explain(asked, RULES, is_past=is_past).rules[0]


@pytest.mark.parametrize(("at", "count"), [(100, 1), (110, 2), (120, 2), (121, 1), (130, 1), (131, 0)])
def test_the_window_ends_at_the_time_asked_about(at: int, count: int) -> None:
    """Both of its ends are included."""
    told = report_at(at, [(100, "ERROR"), (110, "ERROR")])
    assert (told.standing.count, told.standing.end - told.standing.start, told.standing.end) == (
        count,
        20 * MICROSECONDS,
        at * MICROSECONDS,
    )
    assert told.incident is None


def test_a_nearly_full_window_is_a_near_miss() -> None:
    """80% of the threshold and more; not once an incident has taken it in."""
    rules = RuleSet((CountRule("five", ("ERROR",), 5, 20 * MICROSECONDS, 0),), 0)

    def told(count: int) -> RuleReport:
        events = [SeenEvent(Event(f"e{n}", "s", "ERROR", "x", n * MICROSECONDS), n, 0) for n in range(count)]
        return explain(History("s", 0, 100 * MICROSECONDS, events, []), rules, is_past=True).rules[0]

    assert [len(told(count).near_misses) for count in (3, 4, 5)] == [0, 1, 0]
    [miss] = told(4).near_misses
    assert (miss.count, miss.first, miss.last) == (4, 0, 3 * MICROSECONDS)


def test_now_the_wall_clock_decides_whether_an_incident_is_active() -> None:
    """What events of long ago have opened is active for its quiet period, counted from when they were received."""
    live = live_of([(100, "ERROR"), (101, "ERROR"), (102, "ERROR")], LATER)

    def active(*, after: int, is_past: bool) -> int | None:
        now = msgspec.structs.replace(live.history(), at=LATER + after * MICROSECONDS)
        incident = explain(now, RULES, is_past=is_past).rules[0].incident
        return None if incident is None else incident.id

    assert [active(after=after, is_past=False) for after in (0, 60, 61)] == [1, 1, None]
    assert active(after=0, is_past=True) is None


def test_an_incident_that_was_resolved_later_was_active_before() -> None:
    """Asked about a time before a person's change, the change has not happened."""
    live = live_of(
        [(100, "ERROR"), (101, "ERROR"), (102, "ERROR"), (103, "INFO"), "investigating", (140, "INFO"), "resolved"]
    )
    history = live.history()
    for at, status in ((102, "open"), (120, "investigating"), (139, "investigating"), (141, None)):
        events = [seen for seen in history.events if seen.event.timestamp <= at * MICROSECONDS]
        asked = History("checkout", 0, at * MICROSECONDS, events, history.incidents)
        found = explain(asked, RULES, is_past=True).rules[0].incident
        assert (found.status if found else None) == status


def test_events_of_long_ago_count_anew_after_a_person_resolved() -> None:
    """What was received after the change is not the resolved incident's, whatever its event time."""
    live = live_of([(100, "ERROR"), (101, "ERROR"), (102, "ERROR"), "resolved", (103, "ERROR"), (104, "ERROR")], LATER)
    now = msgspec.structs.replace(live.history(), at=live.wall)
    told = explain(now, RULES, is_past=False).rules[0]
    assert (told.incident, told.reasons) == (None, {"opened": 1, "qualified": 4})


def test_events_whose_receipt_is_not_known_are_placed_by_their_own_time() -> None:
    """The view has read them before it kept the time of receipt."""
    live = live_of([(100, "ERROR"), (101, "ERROR"), (102, "ERROR"), "resolved", (103, "ERROR"), (104, "ERROR")])
    history = live.history()
    unknown = [msgspec.structs.replace(seen, received_at=None) for seen in history.events]
    told = explain(msgspec.structs.replace(history, events=unknown), RULES, is_past=False).rules[0]
    assert (told.incident, told.reasons) == (None, {"opened": 1, "qualified": 4})
