"""A fixed number of an incident's events, drawn evenly over all of it, the same ones every time.

Every position in the log has a pseudo-random rank that depends on nothing else; the positions of lowest rank are drawn
(bottom-k sampling, Cohen and Kaplan 2007). So neither the order of reading nor a repeat changes what is drawn, and
memory does not grow with the incident.
"""

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from schemas.incident import AttachedEvent, EventPosition
from schemas.timestamps import MICROSECONDS

MINUTE: Final = 60 * MICROSECONDS
_MASK: Final = (1 << 64) - 1


class Draw:
    """The draw so far, and how many events were seen in each minute of event time."""

    def __init__(self, size: int) -> None:
        """`size`: how many events are drawn at most."""
        self._size = size
        self._lowest: list[tuple[int, int, int]] = []
        self._present: set[tuple[int, int]] = set()
        self.per_minute: Counter[int] = Counter()
        self.seen = 0

    def add(self, events: Iterable[AttachedEvent]) -> None:
        """Look at some events of the incident."""
        for event in events:
            self.seen += 1
            self.per_minute[event.timestamp // MINUTE] += 1
            self._consider(event.offset, event.index)

    def _consider(self, offset: int, index: int) -> None:
        if (offset, index) in self._present:
            return
        entry = (-rank(offset, index), offset, index)
        if len(self._lowest) < self._size:
            heapq.heappush(self._lowest, entry)
        elif entry > self._lowest[0]:
            _, *gone = heapq.heapreplace(self._lowest, entry)
            self._present.discard((gone[0], gone[1]))
        else:
            return
        self._present.add((offset, index))

    def positions(self) -> list[EventPosition]:
        """What was drawn, in the order of the log."""
        return [EventPosition(offset, index) for offset, index in sorted(self._present)]


def rank(offset: int, index: int) -> int:
    """64 bits that look random: the finalizer of SplitMix64 (Steele, Lea and Flood 2014) over both numbers."""
    value = (offset * 0x9E3779B97F4A7C15 + index * 0xD1B54A32D192ED03) & _MASK
    value = ((value ^ value >> 30) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ value >> 27) * 0x94D049BB133111EB) & _MASK
    return value ^ value >> 31


def windows(start: int, end: int, most: int, parts: int) -> Iterator[range]:
    """The offsets from `start` to `end`, or, where they are more than `most`, `parts` even stretches of them."""
    if end - start <= most:
        yield range(start, end)
        return
    length = most // parts
    for part in range(parts):
        first = start + (end - start - length) * part // (parts - 1)
        yield range(first, first + length)
