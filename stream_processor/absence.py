"""Rules of kind absence: a service that was sending falls silent, on the log's clock.

The clock is that of the partition's records: while the pipeline is behind, so is the clock, and while nothing can be
appended it stands still. So only silence that was listened to counts.
"""

from schemas.event import Event
from stream_processor.durations import format_duration
from stream_processor.kind_states import AbsenceState
from stream_processor.machines import Machine, clock_text
from stream_processor.rules import AbsenceRule
from stream_processor.sighting import Opening, Sighting
from stream_processor.sliding import Outcome
from stream_processor.span import Item, Span


class AbsenceMachine(Machine[AbsenceRule, AbsenceState]):
    """An absence rule at one service and record."""

    def __init__(self, sighting: Sighting, rule: AbsenceRule, heard: int) -> None:
        super().__init__(sighting, rule, AbsenceState, heard)

    def observe(self, time: int) -> None:
        """Only what matches is heard."""

    def take(self, event: Event, item: Item) -> Outcome:
        """A sign of life: it ends the silence, and counts towards being missed."""
        for span in [span for span in self.sighting.known.spans if not span.kept_alive_at]:
            self._end(span, item)
        own = self.own
        own.count += 1
        own.heard = self.heard
        if own.last is None or item > own.last:
            own.last, own.last_id = item, event.id
        return "qualified"

    def fall_silent(self) -> None:
        """An incident opens whose only event is the last one heard."""
        last, opening = self.own.last, self._opening()
        assert last is not None
        if self.sighting.known.spans:  # a person took an earlier silence up again, and works on it
            self._go_on(self.sighting.known.spans[-1], last, opening.reason)
        else:
            self.sighting.open_alone(last, opening)
        self.own.settle()

    def _opening(self) -> Opening:
        rule, last = self.rule, self.own.last
        assert last is not None
        reason = (
            f"nothing from {self.sighting.state.service} for {format_duration(rule.window)} after "
            f"{clock_text(last.time)}, when it had sent {self.own.count} events; other records were heard"
            f"{rule.match.describe()}"
        )
        return Opening(self.own.last_id, last.time, reason, rule.threshold)

    def _go_on(self, span: Span, last: Item, reason: str) -> None:
        span.take_in([last], self.sighting.at)
        span.note("silent", reason, self.sighting.at)
        self.sighting.decisions.took_in(self.sighting.state.service, self.rule.name, span, [last])
        self.sighting.decisions.changed(self.sighting.state.service, self.rule.name, span)

    def _end(self, span: Span, item: Item) -> None:
        known, decisions, service = self.sighting.known, self.sighting.decisions, self.sighting.state.service
        known.spans[:] = [other for other in known.spans if other is not span]
        if span.is_active:
            span.touch(self.sighting.at)
            span.note("heard", f"heard again at {clock_text(item.time)}", self.sighting.at, to="resolved")
            decisions.changed(service, self.rule.name, span)
        decisions.ended(service, self.rule.name, span)


def deadline(rule: AbsenceRule, own: AbsenceState) -> int | None:
    """When the service has been silent for too long, on the log's clock; None: it is not missed."""
    return own.heard + rule.window if own.last is not None and own.count >= rule.threshold else None
