"""One rule looks at one service: qualifying events become incidents, and what changes is reported."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from schemas.identity import incident_key
from schemas.incident import EventPosition
from schemas.timestamps import MICROSECONDS, to_rfc3339
from stream_processor.decisions import Decisions
from stream_processor.rules import Rule
from stream_processor.sliding import Outcome, Shift, SlidingWindow
from stream_processor.span import MAX_SAMPLES, Item, Span
from stream_processor.state import ServiceState
from stream_processor.tumbling import minute_counts


class Opening(NamedTuple):
    """Why an incident opens. `cause` and `time` name it: an event's id and time, or what else is told only once.

    `threshold`: how many events it took; `lateness`: how far its event was behind, in microseconds.
    """

    cause: str
    time: int
    reason: str
    threshold: int
    lateness: int = 0


class Sighting:
    """One rule and one service at one record of the log, which was appended `at` (microseconds)."""

    def __init__(self, state: ServiceState, rule: Rule, at: int, decisions: Decisions) -> None:
        self.state = state
        self.known = state.rule_state(rule.name)
        self.rule = rule
        self.at = at
        self.decisions = decisions

    def take(self, items: Sequence[Item], opening: Callable[[], Opening], surplus: int = 0) -> Outcome:
        """Take in events that qualify. `surplus`: how many more there are between the first and the last of them."""
        before = self.decisions.opened[self.rule.name]
        window = SlidingWindow(self.known, self.rule.chain, self.at)

        def open_span(head: list[Item], place: int) -> Span:
            return self._open(head, place, opening())

        for item in items:
            window.insert(item, open_span)
        if surplus:
            self._holder(items[0]).count += surplus
        self._report(window.shift)
        return "opened" if self.decisions.opened[self.rule.name] > before else window.shift.outcome

    def open_alone(self, item: Item, opening: Opening) -> None:
        """Open an incident of one event, whatever came before it."""
        span = self._open([item], len(self.known.spans), opening)
        self.known.spans.append(span)
        self._report(Shift("opened", [(span, [item])], []))

    def near_miss(self, count: int, items: Sequence[Item]) -> None:
        """A window has passed that was nearly an incident, with `count` events, the first and last among `items`."""
        self.decisions.near_miss(self.state.service, self.rule.name, count, items[0].time, items[-1].time)

    def _open(self, head: list[Item], place: int, opening: Opening) -> Span:
        known, at = self.known, self.at
        span = Span(
            key=incident_key(self.rule.name, self.state.service, opening.cause, opening.time),
            version=1,
            status="open",
            head=head,
            last=head[-1].time,
            count=len(head),
            created_at=at,
            updated_at=at,
            threshold=opening.threshold,
            window=self.rule.window,
            reason=opening.reason,
            samples=[EventPosition(item.offset, item.index) for item in head[:MAX_SAMPLES]],
            timeline=[],
            minutes=minute_counts(self.state.minutes),
            lateness=opening.lateness,
            severity_floor=self.rule.severity_floor,
            previous_key=known.spans[place - 1].key if place else known.last_key,
            heard_at=at,
            shadow=self.rule.shadow,
        )
        late = f", completed {opening.lateness / MICROSECONDS:g} s late" if opening.lateness else ""
        span.note("opened", opening.reason + late, at, to="open")
        if place == len(known.spans):
            known.last_key = span.key
        self.decisions.opened[self.rule.name] += 1
        self.decisions.begun[span.key] = None
        return span

    def _holder(self, item: Item) -> Span:
        return next(span for span in self.known.spans if span.head[0].time <= item.time <= span.last)

    def _report(self, shift: Shift) -> None:
        for span, items in shift.taken:
            span.shadow = span.shadow and self.rule.shadow
            self.decisions.took_in(self.state.service, self.rule.name, span, items)
            self.decisions.changed(self.state.service, self.rule.name, span)
        for span, gone in shift.merged:
            self.decisions.changed(self.state.service, self.rule.name, gone)
            if self.known.last_key == gone.key:
                self.known.last_key = span.key
        # At most one is active: a newer opening shows that the ones before it have fallen quiet.
        for span in self.known.spans[:-1]:
            if span.is_active:
                fall_quiet(span, self.rule, span.alive_at, self.at)
                self.decisions.changed(self.state.service, self.rule.name, span)


def fall_quiet(span: Span, rule: Rule, since: int, at: int, after: int | None = None) -> None:
    """Resolve an incident that heard nothing for its quiet period.

    Args:
        span: the incident.
        rule: its rule.
        since: the event time of its last sign of life, in microseconds.
        at: the wall clock, in microseconds.
        after: the offset of the record that it comes after, where no record has brought it.
    """
    span.touch(at)
    quiet = f"no qualifying event for {rule.quiet_period / MICROSECONDS:g} s after {to_rfc3339(since)}"
    span.note("quiet", quiet, at, to="resolved", after=after)
