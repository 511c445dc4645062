"""The ids that were counted lately, so that the same id counts once, in bounded memory.

What is remembered: every counted id whose event time lies within the horizon, at most `MAX_SEGMENTS` * `SEGMENT` of
them, and in any case the newest `ALWAYS_KEPT`. A repeat that comes after that with its old time is late and does not
count for that reason. The newest ids stand in the service's own row; the oldest `SEGMENT` of them move to a row of
their own that is written once, so that a row stays small however hot the service is.
"""

from array import array
from collections.abc import Callable
from typing import Final

import msgspec

SEGMENT: Final = 256
MAX_SEGMENTS: Final = 128
ALWAYS_KEPT: Final = 16


class Segment(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A row of `SEGMENT` fingerprints; `newest` is the newest event time among them, in microseconds."""

    number: int
    newest: int


class IdRow(msgspec.Struct, array_like=True):
    """The part of a service's row that tells its recent ids: times and fingerprints in turn, then the segments."""

    tail: list[int] = []
    segments: list[Segment] = []
    next_number: int = 0


class RecentIds:
    """The recent ids of one service. `rows` holds the segment rows to write (None: to delete) since `take_rows`."""

    __slots__ = ("_known", "_next_number", "_rows", "_segments", "_stored", "_tail", "_times")

    def __init__(self, row: IdRow | None = None, read_segment: Callable[[int], bytes | None] | None = None) -> None:
        row = row or IdRow()
        self._times = array("q", row.tail[::2])
        self._tail = array("Q", row.tail[1::2])
        self._segments = list(row.segments)
        self._next_number = row.next_number
        self._stored: dict[int, array[int]] = {}
        self._rows: dict[int, bytes | None] = {}
        self._known = set(self._tail)
        for segment in self._segments:
            # A segment whose row is gone had expired before the row that says so was written.
            stored = array("Q", (read_segment(segment.number) if read_segment else None) or b"")
            self._stored[segment.number] = stored
            self._known.update(stored)

    def __len__(self) -> int:
        """How many ids are remembered."""
        return len(self._known)

    def __contains__(self, fingerprint: int) -> bool:
        """Whether the id of this fingerprint was counted lately."""
        return fingerprint in self._known

    def add(self, time: int, fingerprint: int) -> None:
        """Remember an id that counts, with its event time in microseconds."""
        self._known.add(fingerprint)
        self._times.append(time)
        self._tail.append(fingerprint)
        if len(self._tail) >= SEGMENT + ALWAYS_KEPT:
            self._move_oldest()

    def forget(self, horizon: int) -> None:
        """Forget what lies before `horizon` (event time, microseconds), oldest arrival first."""
        while len(self._segments) > MAX_SEGMENTS or (self._segments and self._segments[0].newest < horizon):
            segment = self._segments.pop(0)
            self._known.difference_update(self._stored.pop(segment.number))
            self._rows[segment.number] = None
        surplus = 0
        while surplus < len(self._tail) - ALWAYS_KEPT and self._times[surplus] < horizon:
            self._known.discard(self._tail[surplus])
            surplus += 1
        del self._times[:surplus], self._tail[:surplus]

    def row(self) -> IdRow:
        """What the service's row must say."""
        tail = [0] * (2 * len(self._tail))
        tail[::2], tail[1::2] = self._times, self._tail
        return IdRow(tail, list(self._segments), self._next_number)

    def take_rows(self) -> dict[int, bytes | None]:
        """The segment rows to write before the service's row, and to delete after it (None)."""
        rows, self._rows = self._rows, {}
        return rows

    def _move_oldest(self) -> None:
        segment, stored = Segment(self._next_number, max(self._times[:SEGMENT])), self._tail[:SEGMENT]
        del self._times[:SEGMENT], self._tail[:SEGMENT]
        self._segments.append(segment)
        self._stored[segment.number] = stored
        self._rows[segment.number] = stored.tobytes()
        self._next_number += 1
