"""When to stop rather than let everything drain into `ops.events.dlq`: pure, and no part of what is detected."""

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple


class TooManyDeadLetters(Exception):  # noqa: N818 - reads as what it is
    """The limit is reached: nothing of these records is published or written, and they are not finished."""


class Limit(NamedTuple):
    """Stop once `share` (0 to 1) of the last `window` records are dead letters; a share of 0 never stops.

    It is a share of the records of all producers: one that sends rubbish beside others does not stop them, while a
    wrong encoding, which breaks every record, does. Before `window` records were read it never stops.
    """

    share: float = 0.0
    window: int = 1_000


class Recent:
    """How the last records of one worker ended, over all its partitions."""

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self._ended: deque[bool] = deque()
        self._dead = 0

    def take(self, outcomes: Iterable[bool]) -> str:
        """Add records in their order, True for a dead letter; gives why to stop, or an empty text.

        The limit is looked at after each record, so that the answer does not depend on how they are batched.
        """
        if not self._limit.share:
            return ""
        return next(filter(None, map(self._add, outcomes)), "")

    def _add(self, is_dead: bool) -> str:  # noqa: FBT001 - an item of a sequence
        self._ended.append(is_dead)
        self._dead += is_dead
        if len(self._ended) > self._limit.window:
            self._dead -= self._ended.popleft()
        share, window = self._limit
        if len(self._ended) == window and self._dead >= share * window:
            return f"{self._dead:,} of the last {window:,} records cannot be read"
        return ""
