"""`threshold` events within `window`: an exact sliding window over event times, whatever the order of arrival.

The result is the one that events sorted by time would give: scanning them, an incident opens at the first event that
has `threshold - 1` others within `window` before it; it takes in every further event until one comes more than
`quiet_period` after the last; then the scan starts anew. An event that comes out of order can only move an opening
forward, add to an incident, open one in the past, or join two that a gap kept apart: never split one. So it is enough
to keep loose events, and of each incident its head and its end.
"""

from bisect import bisect_left, insort
from collections.abc import Callable
from typing import Literal

import msgspec

from stream_processor.rules import CountRule
from stream_processor.span import Item, Span
from stream_processor.state import RuleState

Open = Callable[[list[Item], int], Span]
"""Makes the span of an opening from its head and its place among the spans."""

Outcome = Literal["opened", "attached", "qualified"]


class Shift(msgspec.Struct):
    """What one event has changed: the events each span took in, and the spans that went into another."""

    outcome: Outcome = "qualified"
    taken: list[tuple[Span, list[Item]]] = []
    merged: list[tuple[Span, Span]] = []


class SlidingWindow:
    """One rule's window over one service's events; `shift` collects what it changes.

    `received_at`: when the record that is being taken in was appended to the log (microseconds).
    """

    def __init__(self, state: RuleState, rule: CountRule, received_at: int) -> None:
        self.state = state
        self.rule = rule
        self.received_at = received_at
        self.shift = Shift()

    def insert(self, item: Item, open_span: Open) -> Shift:
        """Take one qualifying event in."""
        spans = self.state.spans
        for place, span in enumerate(spans):
            if item.time < span.opened_at:
                self._settle(place, item, open_span)
                return self.shift
            if item.time <= self.rule.ends_at(span.alive_at):
                self.shift.outcome = "attached"
                self._give(span, [item])
                self.grow(place)
                return self.shift
        self._settle(len(spans), item, open_span)
        return self.shift

    def grow(self, place: int) -> Shift:
        """Let the span at `place` take in the loose events and the spans that it now reaches."""
        spans, loose = self.state.spans, self.state.loose
        span = spans[place]
        while True:
            start, end = _reach(loose, span.opened_at, self.rule.ends_at(span.alive_at))
            reached = loose[start:end]
            del loose[start:end]
            if reached:
                self._give(span, reached)
            follower = spans[place + 1] if place + 1 < len(spans) else None
            if follower and follower.head[0].time <= self.rule.ends_at(span.alive_at):
                _merge(span, spans.pop(place + 1), self.received_at)
                self.shift.merged.append((span, follower))
            elif not reached:
                return self.shift

    def _give(self, span: Span, items: list[Item]) -> None:
        span.take_in(items, self.received_at)
        self.shift.taken.append((span, items))

    def _settle(self, place: int, item: Item, open_span: Open) -> None:
        """Find out what an event before the span at `place`, and after the one before it, makes of them."""
        loose, spans = self.state.loose, self.state.spans
        follower = spans[place] if place < len(spans) else None
        if follower is None and self._is_far_from_opening(item):
            loose.append(item)
            return
        region = sorted([*self._loose_before(place), *(follower.head if follower else ()), item])
        crossing = _first_crossing(region, self.rule)
        if crossing is None:
            insort(loose, item)
            return
        head = region[crossing - self.rule.threshold + 1 : crossing + 1]
        chain = _chain(region[crossing + 1 :], head[-1].time, self.rule)
        if follower and not set(follower.head).isdisjoint((*head, *chain)):
            self._move_opening(follower, head, chain, item)
            return
        span = open_span(head, place)
        spans.insert(place, span)
        _remove(loose, [*head, *chain])
        self.shift.outcome = "opened"
        self.shift.taken.append((span, head))
        if chain:
            self._give(span, chain)

    def _is_far_from_opening(self, item: Item) -> bool:
        """Whether the newest event of all fills no window: the usual case, told without looking at the others."""
        loose, others = self.state.loose, self.rule.threshold - 1
        if loose and item < loose[-1]:
            return False
        return len(loose) < others or item.time - (loose[-others] if others else item).time > self.rule.window

    def _move_opening(self, span: Span, head: list[Item], chain: list[Item], item: Item) -> None:
        taken = [member for member in (*head, *chain) if member not in span.head]
        if item not in taken:
            insort(self.state.loose, item)
            return
        _remove(self.state.loose, taken)
        if head[0] <= span.head[0]:  # but where the rule has changed since it opened
            span.head = head
        self.shift.outcome = "attached"
        self._give(span, taken)

    def _loose_before(self, place: int) -> list[Item]:
        spans = self.state.spans
        start = self.rule.ends_at(spans[place - 1].alive_at) if place else float("-inf")
        end = spans[place].opened_at if place < len(spans) else float("inf")
        return [item for item in self.state.loose if start < item.time <= end]


def forget_loose(state: RuleState, rule: CountRule, watermark: int) -> None:
    """Drop the loose events that no event from `watermark` on can share a window with."""
    start = bisect_left(state.loose, Item(watermark - rule.window, -1, -1))
    del state.loose[:start]


def _merge(span: Span, gone: Span, received_at: int) -> None:
    reason = f"late events closed the gap between {span.key} and {gone.key}"
    span.count += gone.count
    span.last = max(span.last, gone.last)
    span.kept_alive_at = max(span.kept_alive_at, gone.kept_alive_at)
    span.heard_at = max(span.heard_at, gone.heard_at)
    span.touch(received_at)
    span.quiet_from = gone.quiet_from
    span.note("merged", reason, received_at, to=gone.status if gone.status != span.status else None)
    gone.merged_into = span.key
    gone.quiet_from = None
    gone.touch(received_at)
    gone.note("merged", reason, received_at, to="closed")


def _first_crossing(items: list[Item], rule: CountRule) -> int | None:
    reach = rule.threshold - 1
    for last in range(reach, len(items)):
        if items[last].time - items[last - reach].time <= rule.window:
            return last
    return None


def _chain(items: list[Item], alive_at: int, rule: CountRule) -> list[Item]:
    for count, item in enumerate(items):
        if item.time > rule.ends_at(alive_at):
            return items[:count]
        alive_at = item.time
    return items


def _reach(loose: list[Item], start: int, end: float) -> tuple[int, int]:
    first = bisect_left(loose, Item(start, -1, -1))
    last = first
    while last < len(loose) and loose[last].time <= end:
        last += 1
    return first, last


def _remove(loose: list[Item], gone: list[Item]) -> None:
    members = set(gone)
    loose[:] = [item for item in loose if item not in members]
