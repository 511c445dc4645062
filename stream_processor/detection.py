"""An event comes in: `(state, event) -> (state, decisions)`, with no clock, Kafka, HTTP or SQL inside.

The state is changed in place and the decisions are collected: both belong to the caller, and nothing else is touched.
"""

from collections.abc import Iterable

from schemas.identity import event_fingerprint, incident_key
from schemas.incident import EventPosition
from schemas.timestamps import MICROSECONDS, to_rfc3339
from stream_processor.decisions import Arrival, Decisions
from stream_processor.ledger import Reason
from stream_processor.rules import CountRule, RuleSet
from stream_processor.sliding import Outcome, Shift, SlidingWindow, forget_loose
from stream_processor.span import MAX_SAMPLES, Item, Span
from stream_processor.state import NEVER, ServiceState
from stream_processor.tumbling import count_event, forget_minutes, minute_counts


def detect(state: ServiceState, arrivals: Iterable[Arrival], rules: RuleSet, decisions: Decisions) -> None:
    """Take in the events of one service in the order of its partition; those that the state includes are skipped."""
    includes = state.offset
    for arrival in arrivals:
        if arrival.offset > includes:
            decisions.ledger[_take_in(state, arrival, rules, decisions)] += 1
            state.offset = arrival.offset


def fall_quiet(span: Span, rule: CountRule, since: int, at: int) -> None:
    """Resolve an incident that heard nothing for its quiet period.

    Args:
        span: the incident.
        rule: its rule.
        since: the event time of its last sign of life, in microseconds.
        at: the wall clock, in microseconds.
    """
    span.touch(at)
    quiet = f"no qualifying event for {rule.quiet_period / MICROSECONDS:g} s after {to_rfc3339(since)}"
    span.note("quiet", quiet, at, to="resolved")


def _take_in(state: ServiceState, arrival: Arrival, rules: RuleSet, decisions: Decisions) -> Reason:
    event = arrival.event
    matching = rules.matching(event)
    fingerprint = event_fingerprint(event.id) if matching else 0
    if matching and fingerprint in state.ids:
        return "duplicate"
    if event.timestamp < state.newest - rules.allowed_lateness:
        decisions.late.append(arrival)
        return "late"
    count_event(state.minutes, event.level, event.timestamp)
    reason: Reason = "no_rule" if event.level in rules.levels else "below_level"
    if matching:
        state.ids.add(event.timestamp, fingerprint)
        reasons = [_Sighting(state, rule, arrival, decisions).count() for rule in matching]
        reason = min(reasons, key=("opened", "attached", "qualified").index)
    if event.timestamp > state.newest:
        state.newest = event.timestamp
        _advance(state, rules, arrival.received_at, decisions)
    return reason


class _Sighting:
    """One event as one rule sees it."""

    def __init__(self, state: ServiceState, rule: CountRule, arrival: Arrival, decisions: Decisions) -> None:
        self.service = state.service
        self.newest = state.newest
        self.minutes = state.minutes
        self.known = state.rule_state(rule.name)
        self.rule = rule
        self.arrival = arrival
        self.decisions = decisions

    def count(self) -> Outcome:
        item = Item(self.arrival.event.timestamp, self.arrival.offset, self.arrival.index)
        shift = SlidingWindow(self.known, self.rule, self.arrival.received_at).insert(item, self._open)
        self._report(shift)
        return shift.outcome

    def _open(self, head: list[Item], place: int) -> Span:
        event, at = self.arrival.event, self.arrival.received_at
        lateness = max(0, self.newest - event.timestamp) if self.newest != NEVER else 0
        reason = self.rule.describe(self.service)
        span = Span(
            key=incident_key(self.rule.name, self.service, event.id, event.timestamp),
            version=1,
            status="open",
            head=head,
            last=head[-1].time,
            count=len(head),
            created_at=at,
            updated_at=at,
            threshold=self.rule.threshold,
            window=self.rule.window,
            reason=reason,
            samples=[EventPosition(item.offset, item.index) for item in head[:MAX_SAMPLES]],
            timeline=[],
            minutes=minute_counts(self.minutes),
            lateness=lateness,
            severity_floor=self.rule.severity_floor,
            previous_key=self.known.spans[place - 1].key if place else self.known.last_key,
            heard_at=at,
        )
        late = f", completed {lateness / MICROSECONDS:g} s late" if lateness else ""
        span.note("opened", reason + late, at, to="open")
        if place == len(self.known.spans):
            self.known.last_key = span.key
        return span

    def _report(self, shift: Shift) -> None:
        for span, items in shift.taken:
            self.decisions.took_in(self.service, span, items)
            self.decisions.changed(self.service, self.rule.name, span)
        for span, gone in shift.merged:
            self.decisions.changed(self.service, self.rule.name, gone)
            if self.known.last_key == gone.key:
                self.known.last_key = span.key
        if shift.outcome == "opened":
            self.decisions.opened[self.rule.name] += 1
        # At most one is active: a newer opening shows that the ones before it have fallen quiet.
        for span in self.known.spans[:-1]:
            if span.is_active:
                fall_quiet(span, self.rule, span.alive_at, self.arrival.received_at)
                self.decisions.changed(self.service, self.rule.name, span)


def _advance(state: ServiceState, rules: RuleSet, received_at: int, decisions: Decisions) -> None:
    """The service's newest event time has moved: end what no event can change any more and forget the rest."""
    watermark = state.newest - rules.allowed_lateness
    forget_minutes(state.minutes, state.newest)
    longest = max((rule.window for rule in rules.rules), default=0)
    state.ids.forget(min(watermark, state.newest - longest))
    for rule in rules.rules:
        known = state.rules.get(rule.name)
        if not known:
            continue
        forget_loose(known, rule, watermark)
        while known.spans and watermark > rule.ends_at(known.spans[0].alive_at):
            span = known.spans.pop(0)
            span.quiet_from = None
            if span.is_active:
                fall_quiet(span, rule, span.alive_at, received_at)
                decisions.changed(state.service, rule.name, span)
            decisions.ended(state.service, rule.name, span)
