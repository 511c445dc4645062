"""A scenario: events and status changes in the order of arrival, and what the detection makes of them.

It runs the code that the stream processor runs, with clocks that only the scenario moves: a record is received when the
newest event time so far has come, and the log's clock goes on with that, as if records came every moment, but for an
outage, in which there are none.
"""

from collections import Counter
from typing import Final

import msgspec

from schemas.event import Event
from schemas.incident import Incident
from schemas.lifecycle import Status
from schemas.status_change import StatusChange
from stream_processor.decisions import Arrival, Decisions
from stream_processor.detection import detect, fall_silent
from stream_processor.kind_states import RateState
from stream_processor.kinds import next_deadline
from stream_processor.ledger import Reason
from stream_processor.lifecycle import change_status, fall_quiet_by_clock
from stream_processor.log_clock import MOST_GAP, LogClock, Moment, Timeline
from stream_processor.near_misses import NearMiss, NearMisses
from stream_processor.rate import near_misses
from stream_processor.rules import CountRule, RateRule, RuleSet
from stream_processor.span import Item
from stream_processor.state import EndedRow, ServiceState, new_state

START: Final = 1_704_067_200_000_000
"""2024-01-01T00:00:00Z in microseconds: where a scenario's `0s` lies."""


class Change(msgspec.Struct, frozen=True):
    """A person sets the status of the newest incident of a service and rule. `at`: not before; in microseconds."""

    service: str
    rule: str
    to: Status
    at: int
    place: str


class Wait(msgspec.Struct, frozen=True):
    """The clocks go on by so many microseconds and no event arrives. `is_outage`: no record at all could."""

    duration: int
    is_outage: bool = False


Step = Event | Change | Wait


class Outcome(msgspec.Struct, frozen=True):
    """What a scenario has led to. `objections`: status changes that could not be made, each in a sentence."""

    incidents: list[Incident]
    near_misses: list[NearMiss]
    ledger: Counter[Reason]
    objections: list[str]


class ScenarioRun:
    """Plays steps into the detection."""

    def __init__(self, rules: RuleSet) -> None:
        self._rules = rules
        self._states: dict[str, ServiceState] = {}
        self._incidents: dict[str, Incident] = {}
        self._ended: dict[str, EndedRow] = {}
        self._ledger: Counter[Reason] = Counter()
        self._near = NearMisses()
        self._objections: list[str] = []
        self._near_passed: list[NearMiss] = []
        self._offset = 0
        self._clock = START
        self._heard = 0

    def play(self, step: Step) -> None:
        """Take one step."""
        match step:
            case Event():
                self._take_event(step)
            case Change():
                self._take_change(step)
            case Wait():
                self._go_on(self._clock + step.duration, is_outage=step.is_outage)
                for state in self._states.values():
                    decisions = Decisions(0)
                    fall_quiet_by_clock(state, self._rules, self._clock, decisions)
                    self._keep(decisions)

    def outcome(self) -> Outcome:
        """What the steps so far have led to; incidents by their first event."""
        incidents = [incident for incident in self._incidents.values() if incident.merged_into is None]
        incidents.sort(key=lambda incident: (incident.first_event_at, incident.service, incident.rule))
        near = sorted(
            [*self._near.found(), *self._near_passed, *self._near_open()],
            key=lambda miss: (miss.first, miss.service, miss.rule),
        )
        return Outcome(incidents, near, self._ledger, self._objections)

    def first_event_of(self, key: str) -> int | None:
        """The first event time of the incident of this key, or of the one it went into."""
        incident = self._incidents.get(key)
        while incident is not None and incident.merged_into is not None:
            incident = self._incidents.get(incident.merged_into)
        return None if incident is None else incident.first_event_at

    def _near_open(self) -> list[NearMiss]:
        """Windows of rate rules that have not ended and are near their limit."""
        return [
            miss
            for state in self._states.values()
            for rule in self._rules.rules
            if isinstance(rule, RateRule) and (known := state.rules.get(rule.name))
            if isinstance(known.own, RateState)
            for miss in near_misses(state.service, rule, known.own)
        ]

    def _go_on(self, clock: int, *, is_outage: bool = False) -> None:
        """Both clocks go on, and what silence decides meanwhile is decided at its moment."""
        passed = max(0, clock - self._clock)
        end = self._heard + (min(passed, MOST_GAP) if is_outage else passed)
        while (due := self._next_deadline()) is not None and due <= end:
            self._offset += 1
            moment = Moment(self._offset, due, self._clock + (passed if is_outage else due - self._heard))
            for state in list(self._states.values()):
                decisions = Decisions(0)
                fall_silent(state, self._rules, Timeline(LogClock(), [moment]), decisions)
                self._keep(decisions)
        self._heard = end
        self._clock = max(self._clock, clock)

    def _next_deadline(self) -> int | None:
        found = (next_deadline(self._rules, state.rules) for state in self._states.values())
        return min((due for due in found if due is not None), default=None)

    def _take_event(self, event: Event) -> None:
        self._go_on(event.timestamp)
        self._offset += 1
        state = self._states.setdefault(event.service, new_state(event.service))
        decisions = Decisions(0)
        timeline = Timeline(LogClock(), [Moment(self._offset, self._heard, self._clock)])
        detect(state, [Arrival(event, self._offset, 0, self._clock)], self._rules, decisions, timeline)
        self._keep(decisions)
        item = Item(event.timestamp, self._offset, 0)
        for rule in self._rules.rules:
            known = state.rules.get(rule.name)
            if isinstance(rule, CountRule) and known is not None and item in known.loose:
                self._near.note(event.service, rule, known.loose, item)

    def _take_change(self, change: Change) -> None:
        self._go_on(change.at)
        wanted = [i for i in self.outcome().incidents if (i.service, i.rule) == (change.service, change.rule)]
        if not wanted:
            self._objections.append(f"{change.place}: there is no incident of {change.service}/{change.rule} yet")
            return
        key = wanted[-1].key
        made = StatusChange(change.place, key, change.service, change.to, "scenario", self._clock)
        decisions = Decisions(0)
        state = self._states[change.service]
        if change_status(state, self._ended.get(key), made, self._rules, decisions) == "refused":
            reason = decisions.incidents()[0].timeline[-1].reason
            self._objections.append(f"{change.place}: {change.service}/{change.rule}: {reason}")
        self._keep(decisions)

    def _keep(self, decisions: Decisions) -> None:
        self._ledger.update(decisions.ledger)
        self._near_passed += decisions.near
        for incident in decisions.incidents():
            self._incidents[incident.key] = incident
        for record in decisions.events(most=1_000_000):
            incident = self._incidents[record.key]
            places = ((event.offset, event.index) for event in record.events)
            self._near.took_in(incident.service, incident.rule, places)
        for ended in decisions.ended_rows():
            self._ended[ended.span.key] = ended


def run_scenario(rules: RuleSet, steps: list[Step]) -> ScenarioRun:
    """All steps, one after the other."""
    run = ScenarioRun(rules)
    for step in steps:
        run.play(step)
    return run
