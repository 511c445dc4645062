"""What to send next and what an answer changes: every decision of a client, without clock, thread or socket."""

from collections import deque
from dataclasses import dataclass
from typing import Final

from ops_assist.client.answers import Again, Answer, Settled, Smaller, judge
from ops_assist.client.backoff import Backoff
from ops_assist.client.limits import Limits
from ops_assist.client.outbox import Entry, Item, Outbox
from ops_assist.client.stats import Stats

_TOLD_AFTER: Final = 3
"""Failures in a row before an outage is told, so that a restart of the gateway is no news."""


@dataclass(frozen=True, slots=True)
class Send:
    """Send these now, and say what was answered."""

    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Rest:
    """Nothing is due before `until` (seconds of the monotonic clock; None: before something is queued)."""

    until: float | None


@dataclass(frozen=True, slots=True)
class Failing:
    """The gateway has taken nothing for several tries."""

    reason: str
    held: int


@dataclass(frozen=True, slots=True)
class Recovered:
    """The gateway takes events again."""

    failures: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """Events were refused for good; `reason` is that of the first."""

    count: int
    reason: str


@dataclass(frozen=True, slots=True)
class Dropped:
    """The queue is half empty again: how many events it could not hold since it last said so, and how many urgent."""

    count: int
    urgent: int


News = Failing | Recovered | Rejected | Dropped


class Delivery:
    """One request is under way at a time, so events arrive in the order in which they were queued.

    Call `step`; where it says Send, do so and call `answered` before the next `step`.
    """

    def __init__(self, limits: Limits, backoff: Backoff | None = None) -> None:
        self._limits, self._backoff = limits, backoff or Backoff()
        self._outbox = Outbox(limits)
        self._in_hand: deque[tuple[Entry, ...]] = deque()
        self._not_before = 0.0
        self._failures = 0
        self._hurry_to = 0
        self._untold = self._untold_urgent = 0
        self._offered = self._delivered = self._rejected = self._dropped = self._retries = 0

    @property
    def stats(self) -> Stats:
        """The counts so far."""
        return Stats(
            self._offered, self._delivered, self._rejected, self._dropped, self._outbox.held, self._retries
        )  # fmt: skip

    @property
    def mark(self) -> int:
        """A place in the order: behind all that is queued now."""
        return self._outbox.next_number

    def has_passed(self, mark: int) -> bool:
        """Whether the fate of everything before the mark is known."""
        oldest = self._in_hand[0][0] if self._in_hand else self._outbox.oldest
        return oldest is None or oldest.number >= mark

    def fits(self, item: Item) -> bool:
        """Whether it can be queued without anything being given up."""
        return self._outbox.fits(item)

    @property
    def is_full(self) -> bool:
        """Whether only an urgent event may still get in."""
        return self._outbox.is_full

    @property
    def has_batch(self) -> bool:
        """Whether a whole batch waits, which need not linger."""
        return self._outbox.has_batch

    def offer(self, item: Item, now: float) -> bool:
        """Queue an event; False where it was dropped instead."""
        self._offered += 1
        gone = self._outbox.put(item, now)
        for dropped in gone:
            self._count_dropped(urgent=dropped.urgent)
        return not gone or gone[-1] is not item

    def drop_unseen(self) -> None:
        """Count an event below ERROR for which the full queue has no room, before it costs anybody its shaping."""
        self._offered += 1
        self._count_dropped(urgent=False)

    def _count_dropped(self, *, urgent: bool) -> None:
        self._dropped += 1
        self._untold += 1
        self._untold_urgent += urgent

    def hurry(self, now: float) -> None:
        """What is queued now lingers no longer, and a failed request is tried again at once."""
        self._hurry_to = self.mark
        self._not_before = min(self._not_before, now)

    def step(self, now: float) -> Send | Rest:
        """What is to be done now."""
        if now < self._not_before:
            return Rest(self._not_before if self._in_hand or self._outbox.oldest else None)
        if not self._in_hand:
            due = self._due()
            if due is None or now < due:
                return Rest(due)
            self._in_hand.append(self._outbox.take())
        return Send(tuple(entry.item for entry in self._in_hand[0]))

    def _due(self) -> float | None:
        oldest = self._outbox.oldest
        if oldest is None:
            return None
        if self._outbox.has_batch or oldest.number < self._hurry_to:
            return 0.0
        return oldest.queued_at + self._limits.linger

    def answered(self, answer: Answer, now: float, jitter: float) -> list[News]:
        """Take in what the last Send was answered; gives what people should hear of.

        Args:
            answer: the answer, or why there is none.
            now: seconds of the monotonic clock.
            jitter: evenly drawn from 0 to 1.
        """
        batch = self._in_hand[0]
        match judge(answer, len(batch)):
            case Again(reason, after):
                return self._failed(reason, now + self._backoff.wait(self._failures + 1, jitter, after))
            case Smaller():
                self._in_hand.popleft()
                half = len(batch) // 2
                self._in_hand.extendleft((batch[half:], batch[:half]))
                return []
            case Settled(rejected):
                return self._settle(batch, dict(rejected))

    def _failed(self, reason: str, not_before: float) -> list[News]:
        self._failures += 1
        self._retries += 1
        self._not_before = not_before
        return [Failing(reason, self._outbox.held)] if self._failures == _TOLD_AFTER else []

    def _settle(self, batch: tuple[Entry, ...], rejected: dict[int, str]) -> list[News]:
        self._in_hand.popleft()
        for entry in batch:
            self._outbox.release(entry.item)
        self._delivered += len(batch) - len(rejected)
        self._rejected += len(rejected)
        news: list[News] = []
        if self._failures >= _TOLD_AFTER:
            news.append(Recovered(self._failures))
        self._failures = 0
        if rejected:
            news.append(Rejected(len(rejected), rejected[min(rejected)]))
        if self._untold and self._outbox.is_half_empty:
            news.append(Dropped(self._untold, self._untold_urgent))
            self._untold = self._untold_urgent = 0
        return news
