"""Rules of kind rate: a tumbling window with far more events than this service is used to.

The limit of a window is known before its count begins (`baseline.newest_known`) and the count only grows. So an
incident opens at once when the count passes the limit, and the answer is the one that events in order would give.
"""

from schemas.event import Event
from stream_processor.baseline import baseline, limit, newest_known
from stream_processor.durations import format_duration
from stream_processor.kind_states import RateState, RateWindow
from stream_processor.machines import Machine, clock_text
from stream_processor.near_misses import NearMiss, is_near
from stream_processor.rules import RateRule
from stream_processor.sighting import Opening, Sighting
from stream_processor.sliding import Outcome
from stream_processor.span import Item


class RateMachine(Machine[RateRule, RateState]):
    """A rate rule at one service and record."""

    def __init__(self, sighting: Sighting, rule: RateRule, heard: int) -> None:
        super().__init__(sighting, rule, RateState, heard)

    def observe(self, time: int) -> None:
        """Time goes on: windows that can take no event any more are dropped, and counts that no baseline needs."""
        number, watermark = time // self.rule.window, self.watermark(time)
        self.own.first = number if self.own.first is None else min(self.own.first, number)
        for ended in [n for n in self.own.open if (n + 1) * self.rule.window <= watermark]:
            window = self.own.open.pop(ended)
            if _is_near(window):
                waiting = window.waiting
                self.sighting.near_miss(waiting.count, waiting.items)
        oldest = newest_known(self.rule, watermark // self.rule.window) - self.rule.baseline_windows
        for gone in [n for n in self.own.counts if n <= oldest]:
            del self.own.counts[gone]

    def take(self, event: Event, item: Item) -> Outcome:
        """Count an event; it qualifies if its window is over the limit, and with it all that came before it."""
        number = item.time // self.rule.window
        window = self.own.open.get(number) or self._begin(number)
        self.own.counts[number] = self.own.counts.get(number, 0) + 1
        if window.is_breached:
            return self.sighting.take([item], lambda: self._opening(event, number, window))
        if window.limit is None:
            return "qualified"
        window.waiting.add(item)
        if window.waiting.count <= window.limit:
            return "qualified"
        window.is_breached = True
        waiting = window.waiting
        outcome = self.sighting.take(list(waiting.items), lambda: self._opening(event, number, window), waiting.surplus)
        waiting.clear()
        return outcome

    def _begin(self, number: int) -> RateWindow:
        assert self.own.first is not None
        window = RateWindow(limit(self.rule, self.own.counts, self.own.first, number))
        self.own.open[number] = window
        return window

    def _opening(self, event: Event, number: int, window: RateWindow) -> Opening:
        newest = self.sighting.state.newest
        count = self.own.counts[number] - window.settled
        return Opening(
            event.id,
            event.timestamp,
            self._reason(number, count),
            int(window.limit or 0) + 1,
            max(0, min(newest - event.timestamp, self.rule.lateness)),
        )

    def _reason(self, number: int, count: int) -> str:
        rule, service = self.rule, self.sighting.state.service
        assert self.own.first is not None
        usual = baseline(rule, self.own.counts, self.own.first, number) or 0.0
        length = format_duration(rule.window)
        return (
            f"{count} {rule.describe_levels()} events of {service} in the {length} from "
            f"{clock_text(number * rule.window)}, above {rule.multiple:g} x its baseline of {usual:g} in {length} "
            f"and the floor of {rule.floor}{rule.match.describe()}"
        )


def near_misses(service: str, rule: RateRule, own: RateState) -> list[NearMiss]:
    """Windows that have not ended and are near their limit."""
    return [
        NearMiss(rule.name, service, window.waiting.count, window.waiting.items[0].time, window.waiting.items[-1].time)
        for window in own.open.values()
        if _is_near(window)
    ]


def _is_near(window: RateWindow) -> bool:
    is_judged = window.limit is not None and not window.is_breached
    return is_judged and is_near(window.waiting.count, int(window.limit or 0) + 1)
