"""What rules of the watching kinds keep of a service, beside its incidents."""

from bisect import insort
from typing import Final

import msgspec

from stream_processor.span import Item, Span

MOST_KEPT: Final = 64
"""Events of a window that are kept while they wait: a row holds those of all windows within the lateness."""


class Bunch(msgspec.Struct, array_like=True):
    """Events that may come to qualify together: all are counted, the earliest and the latest are kept.

    What is kept does not depend on the order of arrival, so first and last event times are exact whatever the count.
    """

    count: int = 0
    items: list[Item] = []

    @property
    def surplus(self) -> int:
        """How many are counted and not kept."""
        return self.count - len(self.items)

    def add(self, item: Item, most: int = MOST_KEPT) -> None:
        """Count an event; of more than `most` the latest and the earliest others are kept."""
        self.count += 1
        insort(self.items, item)
        if len(self.items) > most:
            del self.items[-2]

    def clear(self) -> None:
        """A person has settled what they might have led to."""
        self.count = 0
        self.items.clear()


class RateWindow(msgspec.Struct, array_like=True):
    """A tumbling window that can still take events. `limit`: more of them than that qualify; None: still learning.

    `waiting`: its events, as long as they do not qualify. `settled`: how many a person has settled.
    """

    limit: float | None
    waiting: Bunch = msgspec.field(default_factory=Bunch)
    is_breached: bool = False
    settled: int = 0


class RateState(msgspec.Struct, array_like=True, tag="rate"):
    """Of a rate rule: qualifying events by window, from the service's `first` window on; those that are open."""

    shape: int
    first: int | None = None
    counts: dict[int, int] = {}
    open: dict[int, RateWindow] = {}

    def settle(self, start: float, end: float, window: int) -> None:
        """Events of windows (`window` microseconds long) that touch `start` to `end` lead to no incident any more."""
        for number, known in self.open.items():
            if number * window <= end and (number + 1) * window > start:
                known.settled = self.counts.get(number, 0)
                known.is_breached = False
                known.waiting.clear()


class RatioWindow(msgspec.Struct, array_like=True):
    """A tumbling window that is not decided on: all events, and those that qualify."""

    total: int = 0
    waiting: Bunch = msgspec.field(default_factory=Bunch)


class RatioState(msgspec.Struct, array_like=True, tag="ratio"):
    """Of a ratio rule: windows by number. `heard`: the log's clock at the newest event of the service.

    `closed`: what lies before this event time was decided on when the service had fallen silent.
    """

    shape: int
    open: dict[int, RatioWindow] = {}
    heard: int = 0
    closed: int | None = None

    def settle(self) -> None:
        """Events so far lead to no incident any more."""
        self.open.clear()


class Template(msgspec.Struct, array_like=True):
    """A message template that may be new: its `first` event time, whether it was found to be new, and its events.

    `is_over`: its events lead to no incident (any more).
    """

    text: str
    first: int
    waiting: Bunch = msgspec.field(default_factory=Bunch)
    is_new: bool = False
    is_breached: bool = False
    is_over: bool = False


class PatternState(msgspec.Struct, array_like=True, tag="new-pattern"):
    """Of a new-pattern rule: the service's `first` event time, templates that may be new, those that are known.

    `tail`: fingerprints of known templates, in the order in which they became known; those before it stand in
    `segments` rows of their own, numbered from `start`. `heard` and `closed`: as in `RatioState`.
    """

    shape: int
    first: int | None = None
    pending: dict[int, Template] = {}
    tail: list[int] = []
    start: int = 0
    segments: int = 0
    heard: int = 0
    closed: int | None = None

    def settle(self) -> None:
        """Events so far lead to no incident any more; a template that is new is so no longer."""
        for template in self.pending.values():
            template.waiting.clear()
            template.is_over = template.is_new


class AbsenceState(msgspec.Struct, array_like=True, tag="absence"):
    """Of an absence rule: events since the service was last silent, the latest of them, the log's clock at the newest.

    `last_id`: the id of the latest, which names the incident that its silence would be.
    """

    shape: int
    count: int = 0
    last: Item | None = None
    last_id: str = ""
    heard: int = 0

    def settle(self) -> None:
        """A person has settled the silence: it takes new events to hear another."""
        self.count = 0
        self.last = None


OwnState = RateState | RatioState | PatternState | AbsenceState


def settle(own: OwnState | None, window: int, span: Span | None) -> None:
    """A person has put an incident away: a new one needs new events.

    Args:
        own: what its rule keeps beside incidents, if it is of a watching kind.
        window: the rule's window when the incident opened, in microseconds.
        span: the incident where others came after it; None: it was the newest, and all is settled.
    """
    if isinstance(own, RateState):
        start, end = (span.head[0].time, span.last) if span else (float("-inf"), float("inf"))
        own.settle(start, end, window)
    elif own is not None and span is None:
        own.settle()
