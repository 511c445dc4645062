"""Rules of kind new-pattern: a message template that this service has never sent before.

What is new is told by event time, so a template is decided on once nothing can come any more that lies before its
first event: when the watermark passes that, or when the service has sent nothing for as long as that takes on the
log's clock. Until then its events wait; all of them lie within the window, which is no shorter than the lateness.
"""

from typing import Final

from schemas.event import Event
from schemas.template import template_fingerprint, template_of
from stream_processor.durations import format_duration
from stream_processor.kind_states import PatternState, Template
from stream_processor.machines import Machine, clock_text
from stream_processor.rules import PatternRule
from stream_processor.seen_templates import MOST_TEMPLATES
from stream_processor.sighting import Opening, Sighting
from stream_processor.sliding import Outcome
from stream_processor.span import Item

MOST_PENDING: Final = 128
"""Templates that may be new at one time; of more than these each is taken for known, and counted as not judged."""

MOST_WAITING: Final = 32
"""Events of one such template that are kept, the earliest and the latest; all are counted."""

_SHOWN: Final = 200


class PatternMachine(Machine[PatternRule, PatternState]):
    """A new-pattern rule at one service and record."""

    def __init__(self, sighting: Sighting, rule: PatternRule, heard: int) -> None:
        super().__init__(sighting, rule, PatternState, heard)
        self.seen = sighting.state.seen_templates(rule.name, self.own)

    def is_late(self, time: int) -> bool:
        """Also what lies before a first event that was decided on in silence."""
        return super().is_late(time) or (self.own.closed is not None and time < self.own.closed)

    def observe(self, time: int) -> None:
        """Time goes on: decide on the templates whose first event is final, and end those whose window has passed."""
        self.own.heard = self.heard
        self.own.first = time if self.own.first is None else min(self.own.first, time)
        watermark = self.watermark(time)
        self._decide(watermark)
        for fingerprint, known in list(self.own.pending.items()):
            if known.first + self.rule.window < watermark:
                del self.own.pending[fingerprint]
                self.seen.add(fingerprint)

    def take(self, event: Event, item: Item) -> Outcome:
        """Count an event under its template."""
        text = template_of(event.message)
        fingerprint = template_fingerprint(text)
        if self._is_learning(item.time):
            self._learn(fingerprint)
        elif (pending := self.own.pending.get(fingerprint)) is not None:
            return self._add(fingerprint, pending, item)
        elif fingerprint not in self.seen:
            return self._meet(fingerprint, text, item)
        return "qualified"

    def fall_silent(self) -> None:
        """Decide on all templates, as if the service had sent on and time had gone on with it."""
        undecided = [known.first for known in self.own.pending.values() if not known.is_new]
        if undecided:
            self._decide(max(undecided))
            self.own.closed = max(undecided)

    def _is_learning(self, time: int) -> bool:
        assert self.own.first is not None
        return time <= self.own.first + self.rule.learning_period

    def _learn(self, fingerprint: int) -> None:
        self.own.pending.pop(fingerprint, None)
        if len(self.seen) < MOST_TEMPLATES:
            self.seen.add(fingerprint)

    def _meet(self, fingerprint: int, text: str, item: Item) -> Outcome:
        if len(self.seen) + len(self.own.pending) >= MOST_TEMPLATES:
            self.sighting.decisions.unjudged[self.rule.name, "too many templates"] += 1
        elif len(self.own.pending) >= MOST_PENDING:
            self.sighting.decisions.unjudged[self.rule.name, "too many new at once"] += 1
            self.seen.add(fingerprint)
        else:
            known = self.own.pending[fingerprint] = Template(text[:_SHOWN], item.time)
            known.waiting.add(item, MOST_WAITING)
            return self._decide_at(item.time, fingerprint)
        return "qualified"

    def _add(self, fingerprint: int, known: Template, item: Item) -> Outcome:
        if not known.is_new:
            known.first = min(known.first, item.time)
        elif known.is_over or item.time > known.first + self.rule.window:
            return "qualified"
        elif known.is_breached:
            return self.sighting.take([item], lambda: self._opening(fingerprint, known))
        known.waiting.add(item, MOST_WAITING)
        return self._judge(fingerprint, known) if known.is_new else self._decide_at(item.time, fingerprint)

    def _decide_at(self, time: int, fingerprint: int) -> Outcome:
        """An event of `time` was taken in: it may be as late as is allowed, and so final at once."""
        known = self.own.pending[fingerprint]
        if known.first > self.watermark(time):
            return "qualified"
        known.is_new = True
        return self._judge(fingerprint, known)

    def _decide(self, watermark: int) -> None:
        due = [(t.first, f) for f, t in self.own.pending.items() if not t.is_new and t.first <= watermark]
        for _, fingerprint in sorted(due):
            known = self.own.pending[fingerprint]
            known.is_new = True
            self._judge(fingerprint, known)

    def _judge(self, fingerprint: int, known: Template) -> Outcome:
        waiting = known.waiting
        if waiting.count < self.rule.threshold:
            return "qualified"
        known.is_breached = True
        outcome = self.sighting.take(list(waiting.items), lambda: self._opening(fingerprint, known), waiting.surplus)
        waiting.clear()
        return outcome

    def _opening(self, fingerprint: int, known: Template) -> Opening:
        rule = self.rule
        count = f"{rule.threshold} {rule.describe_levels()} event{'s' if rule.threshold > 1 else ''}"
        reason = (
            f"{count} of {self.sighting.state.service} within {format_duration(rule.window)} from "
            f"{clock_text(known.first)} with a message that it never sent before: {known.text}{rule.match.describe()}"
        )
        return Opening(f"template {fingerprint:016x}", known.first, reason, rule.threshold)


def deadline(rule: PatternRule, own: PatternState) -> int | None:
    """When silence makes all first events final, on the log's clock."""
    undecided = any(not known.is_new for known in own.pending.values())
    return own.heard + rule.lateness if undecided else None
