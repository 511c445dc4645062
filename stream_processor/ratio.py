"""Rules of kind ratio: the share of a tumbling window's events that qualify.

A share goes up and down while events arrive, so a window is decided on once it is final: when the watermark passes its
end, or when the service has sent nothing for as long as that takes on the log's clock.
"""

from schemas.event import Event
from stream_processor.durations import format_duration
from stream_processor.kind_states import RatioState, RatioWindow
from stream_processor.machines import Machine, clock_text
from stream_processor.rules import RatioRule
from stream_processor.sighting import Opening, Sighting
from stream_processor.sliding import Outcome
from stream_processor.span import Item


class RatioMachine(Machine[RatioRule, RatioState]):
    """A ratio rule at one service and record."""

    def __init__(self, sighting: Sighting, rule: RatioRule, heard: int) -> None:
        super().__init__(sighting, rule, RatioState, heard)

    def is_late(self, time: int) -> bool:
        """Also what comes for a window that was decided on in silence."""
        return super().is_late(time) or (self.own.closed is not None and time < self.own.closed)

    def observe(self, time: int) -> None:
        """Time goes on: decide on the windows that have become final."""
        self.own.heard = self.heard
        watermark = self.watermark(time)
        for number in sorted(n for n in self.own.open if (n + 1) * self.rule.window <= watermark):
            self._decide(number, self.own.open.pop(number))

    def take(self, event: Event, item: Item) -> Outcome | None:
        """Count an event of a window that is not decided on."""
        window = self.own.open.setdefault(item.time // self.rule.window, RatioWindow())
        window.total += 1
        if event.level not in self.rule.levels:
            return None
        window.waiting.add(item)
        return "qualified"

    def fall_silent(self) -> None:
        """Decide on all windows, as if the service had sent on and time had gone on with it."""
        for number in sorted(self.own.open):
            self._decide(number, self.own.open.pop(number))
            self.own.closed = (number + 1) * self.rule.window

    def _decide(self, number: int, window: RatioWindow) -> None:
        waiting = window.waiting
        if window.total < self.rule.minimum or not waiting.count:
            return
        share = waiting.count / window.total
        if share >= self.rule.share:
            self.sighting.take(list(waiting.items), lambda: self._opening(number, window), waiting.surplus)
        elif share >= 0.8 * self.rule.share:
            self.sighting.near_miss(waiting.count, waiting.items)

    def _opening(self, number: int, window: RatioWindow) -> Opening:
        rule, start = self.rule, number * self.rule.window
        count, total = window.waiting.count, window.total
        reason = (
            f"{count} of {total} events of {self.sighting.state.service} ({count / total:.1%}) were "
            f"{rule.describe_levels()} in the {format_duration(rule.window)} from {clock_text(start)}, "
            f"at least {rule.share:.1%} of at least {rule.minimum}{rule.match.describe()}"
        )
        return Opening(f"window {start}", start, reason, rule.minimum)


def deadline(rule: RatioRule, own: RatioState) -> int | None:
    """When silence makes all windows final, on the log's clock: none of them can end later than this by event time."""
    return own.heard + rule.lateness + rule.window if own.open else None
