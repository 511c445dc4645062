"""The detection over a history, and what each rule made of each event."""

from collections import Counter
from collections.abc import Iterable
from typing import Final

from schemas.lifecycle import ACTIVE
from schemas.status_change import StatusChange
from stream_processor.decisions import Arrival, Decisions
from stream_processor.detection import detect, fall_silent
from stream_processor.explain.history import Step
from stream_processor.ledger import Reason
from stream_processor.lifecycle import change_status, fall_quiet_by_clock
from stream_processor.log_clock import LogClock, Moment, Timeline
from stream_processor.near_misses import NearMiss, NearMisses
from stream_processor.rules import CountRule, Rule, RuleSet
from stream_processor.span import Item, Span
from stream_processor.state import EndedRow, new_state

_AFTER_ALL: Final = 2**62
"""An offset behind all events."""
_COUNTED: frozenset[Reason] = frozenset({"opened", "attached", "qualified"})


class RuleView:
    """What one rule has seen: how each event ended for it, and when those came that it counts."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.reasons: Counter[Reason] = Counter()
        self.times: list[int] = []
        """Event times that may still add up to an incident, or belong to the present one."""

    def saw(self, arrival: Arrival, reason: Reason) -> None:
        """An event has ended for this rule."""
        self.reasons[reason] += 1
        if reason in _COUNTED:
            self.times.append(arrival.event.timestamp)

    def count_within(self, start: int, end: int) -> int:
        """How many events that it counts lie from `start` to `end`, both included."""
        return sum(start <= time <= end for time in self.times)


class Replay:
    """One service's history through the functions that the stream processor runs."""

    def __init__(self, service: str, rules: RuleSet) -> None:
        self.service = service
        self.rules = rules
        self.state = new_state(service)
        self.views = {rule.name: RuleView(rule) for rule in rules.rules}
        self._near = NearMisses()
        self._near_passed: list[NearMiss] = []
        self._ended: dict[str, EndedRow] = {}

    def play(self, steps: Iterable[Step]) -> None:
        """Take in events and people's changes, in order."""
        for step in steps:
            if isinstance(step, StatusChange):
                self._take_change(step)
            else:
                self._take_event(step)

    def wait_until(self, now: int) -> None:
        """The wall clock goes on to `now` (microseconds) and nothing arrives."""
        decisions = Decisions(0)
        fall_silent(self.state, self.rules, _heard(_AFTER_ALL, now), decisions)
        fall_quiet_by_clock(self.state, self.rules, now, decisions)
        self._keep(decisions)

    def active(self, rule: str, at: int | None) -> Span | None:
        """The incident of this rule that is active; where `at` is given, only if it is so at that event time too."""
        known = self.state.rules.get(rule)
        span = known.spans[-1] if known and known.spans else None
        if span is None or not span.is_active:
            return None
        return None if at is not None and at > self.views[rule].rule.ends_at(span.alive_at) else span

    def near_misses(self, rule: str) -> list[NearMiss]:
        """The windows of this rule that were nearly full, and became no incident."""
        return [miss for miss in [*self._near.found(), *self._near_passed] if miss.rule == rule]

    def _take_event(self, arrival: Arrival) -> None:
        decisions = Decisions(0)
        detect(self.state, [arrival], self.rules, decisions, _heard(arrival.offset, arrival.received_at))
        taken = self._keep(decisions)
        [reason] = decisions.ledger
        for name, view in self.views.items():
            view.saw(arrival, _reason_for(view.rule, arrival, reason, decisions, is_taken=name in taken))
        item = Item(arrival.event.timestamp, arrival.offset, arrival.index)
        for rule in self.rules.rules:
            known = self.state.rules.get(rule.name)
            if isinstance(rule, CountRule) and known is not None and item in known.loose:
                self._near.note(self.service, rule, known.loose, item)

    def _take_change(self, change: StatusChange) -> None:
        decisions = Decisions(0)
        done = change_status(self.state, self._ended.get(change.incident_key), change, self.rules, decisions)
        self._keep(decisions)
        if done == "applied" and change.to_status not in ACTIVE:
            for incident in decisions.incidents():
                if incident.rule in self.views:
                    self.views[incident.rule].times.clear()

    def _keep(self, decisions: Decisions) -> set[str]:
        """Remember what ended; gives the rules whose incidents took events in."""
        rules = {incident.key: incident.rule for incident in decisions.incidents()}
        self._near_passed += decisions.near
        for record in decisions.events(most=1_000_000):
            places = ((event.offset, event.index) for event in record.events)
            self._near.took_in(self.service, rules[record.key], places)
        for ended in decisions.ended_rows():
            self._ended[ended.span.key] = ended
        return {rules[record.key] for record in decisions.events(most=1_000_000)}


def _heard(offset: int, received_at: int) -> Timeline:
    """The log's clock at one record: that of the wall, since what other services have sent is not known."""
    return Timeline(LogClock(), [Moment(offset, received_at, received_at)])


def _reason_for(rule: Rule, arrival: Arrival, reason: Reason, decisions: Decisions, *, is_taken: bool) -> Reason:
    """How an event ended for one rule, where `reason` is how it ended among all rules."""
    if not rule.matches(arrival.event):
        return "late" if reason == "late" else "no_rule" if arrival.event.level in rule.levels else "below_level"
    if reason not in _COUNTED:
        return reason
    if decisions.opened[rule.name]:
        return "opened"
    return "attached" if is_taken else "qualified"
