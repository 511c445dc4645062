"""How many events of a window are too many for this service: pure arithmetic over its own past.

The median is taken because up to half of the windows may hold anything, earlier incidents for one, without moving it
beyond what the others hold (its breakdown point is 50 %: Rousseeuw and Croux, "Alternatives to the Median Absolute
Deviation", Journal of the American Statistical Association 88, 1993, section 1).
"""

from collections.abc import Mapping
from statistics import median

from stream_processor.rules import RateRule


def newest_known(rule: RateRule, number: int) -> int:
    """The last window that is final for sure when the first event of window `number` is taken in.

    It ended at least the allowed lateness before that one began: whoever has heard an event of window `number` takes
    no event of it any more. So the limit of a window is fixed before its count begins, whatever the order of arrival.
    """
    return (number * rule.window - rule.lateness) // rule.window - 1


def baseline(rule: RateRule, counts: Mapping[int, int], first: int, number: int) -> float | None:
    """The median count of the windows before window `number`; None: too few are known.

    `counts`: qualifying events by window, zero where there is none; `first`: the service's first window.
    """
    last = newest_known(rule, number)
    start = max(first, last - rule.baseline_windows + 1)
    if last - first + 1 < rule.learning_windows:
        return None
    return float(median(counts.get(known, 0) for known in range(start, last + 1)))


def limit(rule: RateRule, counts: Mapping[int, int], first: int, number: int) -> float | None:
    """More events than that in window `number` are too many; None: too few windows are known."""
    base = baseline(rule, counts, first, number)
    return None if base is None else max(rule.multiple * base, float(rule.floor))
