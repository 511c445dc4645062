"""The bounded queue: what is waiting, in its order, and what has to go when it is full."""

from collections import deque
from typing import NamedTuple

from ops_assist.client.limits import Limits


class Item(NamedTuple):
    """An event as it will be sent, however often: `line` is its JSON, its id within. `urgent`: ERROR and above."""

    id: str
    service: str
    urgent: bool
    line: bytes


class Entry(NamedTuple):
    """An item with its place in the order and when it was queued (seconds of a monotonic clock)."""

    number: int
    queued_at: float
    item: Item


class Outbox:
    """Holds at most `limits.max_events` and `limits.max_bytes`, those that were taken and not released included.

    Urgent items and others wait in two lines, so that making room for an urgent one takes no search.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._calm: deque[Entry] = deque()
        self._urgent: deque[Entry] = deque()
        self._next = 0
        self._waiting_bytes = 0
        self.held_bytes = 0
        self.held = 0

    @property
    def next_number(self) -> int:
        """The number that the next item gets."""
        return self._next

    @property
    def oldest(self) -> Entry | None:
        """What has waited longest."""
        return min((line[0] for line in (self._calm, self._urgent) if line), default=None)

    @property
    def has_batch(self) -> bool:
        """Whether as much waits as one request carries."""
        count = len(self._calm) + len(self._urgent)
        return count >= self._limits.batch_events or self._waiting_bytes >= self._limits.batch_bytes

    @property
    def is_full(self) -> bool:
        """Whether not even an item of no bytes fits."""
        return self.held >= self._limits.max_events or self.held_bytes >= self._limits.max_bytes

    @property
    def is_half_empty(self) -> bool:
        """Whether at most half of what it may hold is held."""
        return 2 * self.held <= self._limits.max_events and 2 * self.held_bytes <= self._limits.max_bytes

    def fits(self, item: Item) -> bool:
        """Whether there is room for it."""
        return self.held < self._limits.max_events and self.held_bytes + len(item.line) <= self._limits.max_bytes

    def put(self, item: Item, now: float) -> list[Item]:
        """Queue an item; gives what went instead, which may be the item itself.

        An urgent one takes the place of the oldest that are not. Else it is the new one that goes: the first errors
        of a burst tell more than the last, and an older line that is kept costs nothing.
        """
        gone = self._make_room(item) if item.urgent else []
        if not self.fits(item):
            return [*gone, item]
        number = self._next
        self._next += 1  # before anything is called: a signal handler may log, and so put, from here on
        self.held += 1
        self.held_bytes += len(item.line)
        self._waiting_bytes += len(item.line)
        (self._urgent if item.urgent else self._calm).append(Entry(number, now, item))
        return gone

    def _make_room(self, item: Item) -> list[Item]:
        gone: list[Item] = []
        while self._calm and not self.fits(item):
            entry = self._calm.popleft()
            self._waiting_bytes -= len(entry.item.line)
            self.release(entry.item)
            gone.append(entry.item)
        return gone

    def take(self) -> tuple[Entry, ...]:
        """The next batch, in the order in which its items were put; they stay held until released."""
        batch: list[Entry] = []
        size = 0
        while len(batch) < self._limits.batch_events and size < self._limits.batch_bytes:
            line = self._line_of_oldest()
            if line is None:
                break
            batch.append(line.popleft())
            size += len(batch[-1].item.line)
        self._waiting_bytes -= size
        return tuple(batch)

    def _line_of_oldest(self) -> deque[Entry] | None:
        if not self._calm or not self._urgent:
            return self._calm or self._urgent or None
        return self._calm if self._calm[0].number < self._urgent[0].number else self._urgent

    def release(self, item: Item) -> None:
        """Say that an item's fate is known."""
        self.held -= 1
        self.held_bytes -= len(item.line)
