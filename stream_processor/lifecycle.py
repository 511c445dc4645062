"""A person changes an incident's status, or the quiet period passes on the wall clock: pure decisions again."""

from schemas.incident import ChangeKind
from schemas.lifecycle import ACTIVE, is_allowed, refusal
from schemas.status_change import StatusChange
from stream_processor.decisions import Decisions, StatusReason
from stream_processor.kind_states import settle
from stream_processor.rules import RuleSet
from stream_processor.sighting import fall_quiet
from stream_processor.sliding import SlidingWindow
from stream_processor.span import Span
from stream_processor.state import NEVER, EndedRow, RuleState, ServiceState


def change_status(
    state: ServiceState,
    ended: EndedRow | None,
    change: StatusChange,
    rules: RuleSet,
    decisions: Decisions,
    *,
    after: int | None = None,
) -> StatusReason:
    """Apply a person's change.

    Args:
        state: the service's.
        ended: the incident's own row, if it has one.
        change: what the person wants.
        rules: those in force.
        decisions: takes what it leads to.
        after: the offset of the record that it comes after; kept in the timeline, so that it can be found again.

    A change that was applied before (redelivery) publishes the present record again and changes nothing.
    """
    found = _find(state, change.incident_key) or (ended and (ended.rule, ended.span))
    if not found:
        return "unknown_incident"
    rule_name, span = found
    decisions.changed(state.service, rule_name, span)
    if span.knows_change(change.change_id):
        if span.taken_up:
            decisions.took_in(state.service, rule_name, span, span.taken_up)
        return "repeated"
    known = state.rule_state(rule_name)
    state.due = NEVER
    span.touch(change.at)
    why: str | None = None
    if change.verdict and change.to_status == span.status and not span.merged_into:
        _note(span, "judged", f"{change.actor} judged it", change, after)
    elif why := _objection(known, span, change):
        _note(span, "status_refused", why, change, after)
    else:
        _Step(state, known, rule_name, rules, decisions).take(span, change, after)
    if not _holds(known, span):
        decisions.ended(state.service, rule_name, span)
    return "refused" if why else "applied"


def fall_quiet_by_clock(
    state: ServiceState,
    rules: RuleSet,
    now: int,
    decisions: Decisions,
    *,
    after: int | None = None,
    since: int = 0,
) -> bool:
    """Resolve active incidents that heard nothing for their quiet period of wall clock (`now`, microseconds).

    `after`: the offset of the record that this comes after, for the timeline. `since`: silence before it (microseconds)
    is none, because nobody could be heard.

    Events still decide: one from within the quiet period of event time that comes later stirs the incident again, so
    that the incidents of a replay are the same however fast it runs. Gives whether anything changed.
    """
    changed = False
    for rule in rules.rules:
        known = state.rules.get(rule.name)
        span = known.spans[-1] if known and known.spans else None
        if span and span.is_active and rule.quiet_period and now - max(span.heard_at, since) > rule.quiet_period:
            before = span.status
            fall_quiet(span, rule, span.last, now, after)
            span.quiet_from = before
            decisions.changed(state.service, rule.name, span)
            changed = True
    return changed


def _note(span: Span, what: ChangeKind, reason: str, change: StatusChange, after: int | None) -> None:
    """Write down what became of a person's change."""
    span.note(
        what,
        reason,
        change.at,
        to=change.to_status if what == "status_changed" else None,
        actor=change.actor,
        note=change.note,
        change_id=change.change_id,
        after=after,
        verdict=None if what == "status_refused" else change.verdict,
    )


def _find(state: ServiceState, key: str) -> tuple[str, Span] | None:
    for rule, known in state.rules.items():
        for span in known.spans:
            if span.key == key:
                return rule, span
    return None


def _holds(known: RuleState, span: Span) -> bool:
    return any(other is span for other in known.spans)


def _objection(known: RuleState, span: Span, change: StatusChange) -> str | None:
    """Why the change cannot be made, or None."""
    if span.status == change.to_status:
        return f"it is {span.status} already"
    if span.merged_into or not is_allowed(span.status, change.to_status):
        return refusal(span.status, change.to_status)
    if change.to_status in ACTIVE:
        for other in known.spans:
            if other.is_active and other is not span:
                return f"incident {other.key} of the same service and rule is active"
    return None


class _Step:
    """A step that is allowed, with all that it touches."""

    def __init__(
        self, state: ServiceState, known: RuleState, rule_name: str, rules: RuleSet, decisions: Decisions
    ) -> None:
        self.state = state
        self.known = known
        self.rule_name = rule_name
        self.rules = rules
        self.decisions = decisions

    def take(self, span: Span, change: StatusChange, after: int | None) -> None:
        _note(span, "status_changed", f"{change.actor} set it", change, after)
        revived = span.quiet_from is not None or not _holds(self.known, span)
        span.quiet_from = None
        if change.to_status not in ACTIVE:
            self._put_away(span)
        elif revived:
            self._take_up(span, change.at)

    def _put_away(self, span: Span) -> None:
        """A new incident needs new events: what the rule knew of this service is settled."""
        if self.known.spans and self.known.spans[-1] is span:
            self._end_all_but(None)
            self.known.loose.clear()
            self.known.last_key = span.key
            settle(self.known.own, span.window, None)
        else:
            settle(self.known.own, span.window, span)
            self.known.spans[:] = [other for other in self.known.spans if other is not span]

    def _take_up(self, span: Span, at: int) -> None:
        """Events add to it again: first those that came meanwhile and lie within its reach."""
        span.kept_alive_at = max(span.kept_alive_at, self.state.newest)
        span.heard_at = max(span.heard_at, at)
        self._end_all_but(span)
        self.known.spans[:] = [span]
        self.known.last_key = span.key
        span.taken_up = []
        for rule in self.rules.rules:
            if rule.name == self.rule_name:
                for taker, items in SlidingWindow(self.known, rule.chain, at).grow(0).taken:
                    taker.taken_up += items
                    self.decisions.took_in(self.state.service, self.rule_name, taker, items)

    def _end_all_but(self, kept: Span | None) -> None:
        for span in self.known.spans:
            if span is not kept:
                self.decisions.ended(self.state.service, self.rule_name, span)
        self.known.spans.clear()
