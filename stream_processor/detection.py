"""An event comes in: `(state, event) -> (state, decisions)`, with no clock, Kafka, HTTP or SQL inside.

The state is changed in place and the decisions are collected: both belong to the caller, and nothing else is touched.
"""

from collections.abc import Iterable, Sequence

from schemas.identity import event_fingerprint
from stream_processor.decisions import Arrival, Decisions
from stream_processor.kinds import deadline, machine_of, next_deadline
from stream_processor.ledger import Reason
from stream_processor.log_clock import Timeline
from stream_processor.rules import CountRule, Rule, RuleSet, WatchingRule
from stream_processor.sighting import Opening, Sighting, fall_quiet
from stream_processor.sliding import Outcome, forget_loose
from stream_processor.span import Item
from stream_processor.state import NEVER, RuleState, ServiceState
from stream_processor.tumbling import MINUTE, count_event, forget_minutes

_BY_WEIGHT = ("opened", "attached", "qualified")


def detect(
    state: ServiceState,
    arrivals: Iterable[Arrival],
    rules: RuleSet,
    decisions: Decisions,
    timeline: Timeline | None = None,
) -> None:
    """Take in the events of one service in the order of its partition; those that the state includes are skipped.

    `timeline`: the log's clock over the records that hold them, where rules need it; then what the service's silence
    between them and until the last of the records decides is decided too.
    """
    includes, heard = state.offset, 0
    for arrival in arrivals:
        if arrival.offset > includes:
            if timeline is not None and (now := timeline.heard_at(arrival.offset)) != heard:
                heard = now
                fall_silent(state, rules, timeline, decisions, before=arrival.offset)
            decisions.ledger[take_in(state, arrival, rules, decisions, heard)] += 1
            state.offset = arrival.offset
    if timeline is not None:
        fall_silent(state, rules, timeline, decisions)


def fall_silent(
    state: ServiceState, rules: RuleSet, timeline: Timeline, decisions: Decisions, before: int | None = None
) -> None:
    """Decide what the silence of a service decides, each at the first record at which its deadline has come.

    `before`: the offset of the record that is to be taken in next; what its time decides is decided before it.
    """
    while (due := next_deadline(rules, state.rules)) is not None:
        moment = timeline.first_from(due)
        if moment is None or (before is not None and moment.offset > before):
            return
        for rule in rules.rules:
            due = deadline(rule, state.rules.get(rule.name))
            if due is not None and due <= moment.heard and isinstance(rule, WatchingRule):
                machine_of(Sighting(state, rule, moment.at, decisions), rule, moment.heard).fall_silent()
        # Events of the record itself are not included yet.
        state.offset = max(state.offset, moment.offset - 1)


def pass_by(state: ServiceState, time: int, received_at: int, rules: RuleSet, decisions: Decisions) -> Reason:
    """An event that no plain rule counts, as its level tells: time goes on with it, and nothing else is decided.

    It is not counted in its minute, which is for people; `take_in` does the same and counts it too.

    Args:
        state: the service's.
        time: its event time, in microseconds.
        received_at: when its record was appended, in microseconds.
        rules: plain ones.
        decisions: takes what it leads to, but for the event itself where it is late.
    """
    if time < state.newest - rules.allowed_lateness:
        return "late"
    if time > state.newest:
        if time < state.due:
            state.newest = time
        else:
            _advance(state, time, rules, received_at, decisions)
    return "below_level"


def take_in(state: ServiceState, arrival: Arrival, rules: RuleSet, decisions: Decisions, heard: int = 0) -> Reason:
    """Take in one event that the state does not include; gives how it ends. `heard`: the log's clock at its record."""
    event = arrival.event
    matching = rules.matching(event)
    remembers = matching and (rules.is_plain or rules.remembers(matching))
    fingerprint = event_fingerprint(event.id) if remembers else None
    if fingerprint is not None and fingerprint in state.ids:
        return "duplicate"
    if event.timestamp < state.newest - rules.allowed_lateness:
        decisions.late.append(arrival)
        return "late"
    count_event(state.minutes, event.level, event.timestamp)
    reason: Reason = "no_rule" if event.level in rules.levels else "below_level"
    if rules.is_plain:
        outcomes: list[Outcome | None] = [_count(state, rule, arrival, decisions) for rule in matching]
    else:
        outcomes = _look(state, rules, matching, arrival, heard=heard, decisions=decisions)
        if matching and not outcomes:
            decisions.late.append(arrival)
            return "late"
    if outcomes:
        if fingerprint is not None:
            state.ids.add(event.timestamp, fingerprint)
        reason = _weightiest(outcomes) or reason
        if reason == "opened" or not rules.is_plain:
            state.due = NEVER
    if event.timestamp > state.newest:
        if event.timestamp < state.due and rules.is_plain:
            state.newest = event.timestamp
        else:
            _advance(state, event.timestamp, rules, arrival.received_at, decisions)
    return reason


def _weightiest(outcomes: list[Outcome | None]) -> Outcome | None:
    if len(outcomes) == 1:
        return outcomes[0]
    return min(filter(None, outcomes), key=_BY_WEIGHT.index, default=None)


def _look(
    state: ServiceState,
    rules: RuleSet,
    matching: Sequence[Rule],
    arrival: Arrival,
    *,
    heard: int,
    decisions: Decisions,
) -> list[Outcome | None]:
    """What each rule makes of an event that counts for it, those left out for which it comes too late."""
    outcomes: list[Outcome | None] = []
    event, item = arrival.event, Item(arrival.event.timestamp, arrival.offset, arrival.index)
    for rule in rules.rules:
        counts = any(rule is other for other in matching)
        if isinstance(rule, CountRule):
            if counts and event.timestamp >= state.newest - rule.lateness:
                outcomes.append(_count(state, rule, arrival, decisions))
        elif isinstance(rule, WatchingRule) and (counts or rule.covers(event.service)):
            machine = machine_of(Sighting(state, rule, arrival.received_at, decisions), rule, heard)
            if not machine.is_late(event.timestamp):
                machine.observe(event.timestamp)
                if counts:
                    outcomes.append(machine.take(event, item))
    return outcomes


def _count(state: ServiceState, rule: Rule, arrival: Arrival, decisions: Decisions) -> Outcome:
    """A rule of kind count takes an event in."""
    event, newest = arrival.event, state.newest
    known = state.rule_state(rule.name)
    if known.own is not None:
        state.replace_own(rule.name, None)
    item = Item(event.timestamp, arrival.offset, arrival.index)
    if _attach(state, rule, known, item, at=arrival.received_at, decisions=decisions):
        return "attached"
    sighting = Sighting(state, rule, arrival.received_at, decisions)

    def opening() -> Opening:
        assert isinstance(rule, CountRule)
        # The newest event time of a service that was never heard lies before all times.
        lateness = max(0, newest - event.timestamp)
        return Opening(event.id, event.timestamp, rule.describe(state.service), rule.threshold, lateness)

    outcome = sighting.take([item], opening)
    if outcome == "qualified":
        assert isinstance(rule, CountRule)
        decisions.left_loose(state.service, rule, sighting.known.loose, item)
    return outcome


def _attach(state: ServiceState, rule: Rule, known: RuleState, item: Item, *, at: int, decisions: Decisions) -> bool:
    """The usual case of a burst, told without a window: one incident, nothing loose, and the event lies within it."""
    if len(known.spans) != 1 or known.loose:
        return False
    span = known.spans[0]
    if not span.opened_at <= item.time <= rule.ends_at(span.alive_at):
        return False
    items = [item]
    span.take_in(items, at)
    if span.shadow:
        span.shadow = rule.shadow
    decisions.took_in(state.service, rule.name, span, items)
    decisions.changed(state.service, rule.name, span)
    return True


def _advance(state: ServiceState, newest: int, rules: RuleSet, received_at: int, decisions: Decisions) -> None:
    """The service's newest event time moves: end what no event can change any more and, by the minute, forget the rest.

    `state.due` tells when it is worth while to look again: at the next minute, or when an incident may end.
    """
    is_new_minute = newest // MINUTE > state.newest // MINUTE
    state.newest = newest
    state.due = (newest // MINUTE + 1) * MINUTE
    if is_new_minute:
        forget_minutes(state.minutes, newest)
        state.ids.forget(newest - max(rules.allowed_lateness, rules.longest_window))
    for rule in rules.rules:
        known = state.rules.get(rule.name)
        if not known or not (known.loose or known.spans):
            continue
        settled = rule.settled(newest - rule.lateness)
        if is_new_minute:
            forget_loose(known, rule.chain, settled)
        while known.spans and settled > rule.ends_at(known.spans[0].alive_at):
            span = known.spans.pop(0)
            span.quiet_from = None
            if span.is_active:
                fall_quiet(span, rule, span.alive_at, received_at)
                decisions.changed(state.service, rule.name, span)
            decisions.ended(state.service, rule.name, span)
        if known.spans:
            end = rule.ends_at(known.spans[0].alive_at) + rule.lateness
            state.due = min(state.due, int(end) + 1) if end < state.due else state.due
