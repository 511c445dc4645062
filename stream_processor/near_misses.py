"""What almost was an incident: at least 80% of a rule's threshold within its window, and no incident."""

from collections.abc import Iterable, Sequence

import msgspec

from stream_processor.rules import CountRule
from stream_processor.span import Item


class NearMiss(msgspec.Struct, frozen=True):
    """The fullest window of a group of events that stayed below the threshold. Times are event times (microseconds)."""

    rule: str
    service: str
    count: int
    first: int
    last: int


class NearMisses:
    """Collects windows that are nearly full, and lets those go whose events an incident takes in after all."""

    def __init__(self) -> None:
        self._windows: dict[str, dict[str, dict[tuple[int, int], list[Item]]]] = {}
        """By service and by rule: the window of each event that is in one, by the event's place."""

    def __contains__(self, service: str) -> bool:
        """Whether a service has a window now."""
        return service in self._windows

    def note(self, service: str, rule: CountRule, loose: Sequence[Item], item: Item) -> None:
        """`item` was counted and is among the `loose` events of `service`, those of no incident, by time."""
        if 5 * len(loose) < 4 * rule.threshold:
            return  # too few for any window
        window = fullest_window(loose, item, rule.window)
        if not is_near(len(window), rule.threshold):
            return
        known = self._windows.setdefault(service, {}).setdefault(rule.name, {})
        rivals = [known[place] for place in map(_place, window) if place in known]
        if all(len(window) > len(rival) for rival in rivals):
            for rival in rivals:
                _drop(known, rival)
            known.update((_place(member), window) for member in window)

    def took_in(self, service: str, rule: str, positions: Iterable[tuple[int, int]]) -> None:
        """An incident of `rule` has taken in the events of `service` that lie there."""
        by_rule = self._windows.get(service)
        known = by_rule.get(rule) if by_rule else None
        if not by_rule or not known:
            return
        for place in positions:
            if place in known:
                _drop(known, known[place])
        if not known:
            del by_rule[rule]
        if not by_rule:
            del self._windows[service]

    def found(self) -> list[NearMiss]:
        """The near misses so far, by time."""
        misses = []
        for service, by_rule in self._windows.items():
            for rule, known in by_rule.items():
                windows = {id(window): window for window in known.values()}.values()
                misses += [NearMiss(rule, service, len(one), one[0].time, one[-1].time) for one in windows]
        return sorted(misses, key=lambda miss: (miss.first, miss.service, miss.rule))


def _place(item: Item) -> tuple[int, int]:
    return item.offset, item.index


def _drop(known: dict[tuple[int, int], list[Item]], window: list[Item]) -> None:
    for member in window:
        known.pop(_place(member), None)


def is_near(count: int, threshold: int) -> bool:
    """Whether `count` is at least 80% of `threshold`, but not all of it."""
    return 4 * threshold <= 5 * count < 5 * threshold


def fullest_window(loose: Sequence[Item], item: Item, window: int) -> list[Item]:
    """The most events within one `window` (microseconds) that holds `item`; of several such, the first."""
    near = [other for other in loose if abs(other.time - item.time) <= window]
    best = range(0)
    end = 0
    for start, first in enumerate(near):
        if first.time > item.time:
            break
        while end < len(near) and near[end].time - first.time <= window:
            end += 1
        best = max(best, range(start, end), key=len)
    return near[best.start : best.stop]
