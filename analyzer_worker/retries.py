"""When an incident whose model failed is asked about again: a schedule in memory, read back from the log at a start."""

from collections.abc import Collection, Sequence
from heapq import heappop, heappush
from typing import Final

from schemas.analysis import Analysis
from schemas.timestamps import MICROSECONDS

MAX_SCHEDULED: Final = 50_000
"""Incidents that wait for another try; more keep the rules' analysis."""


def delays_of(text: str) -> list[int]:
    """The setting LLM_RETRY_DELAYS, in microseconds."""
    return [int(part) * MICROSECONDS for part in text.split(",") if part.strip()]


def due_at(analysis: Analysis, delays: Sequence[int]) -> int | None:
    """When to try again after `analysis` (microseconds); None: not at all."""
    if analysis.analysis_status != "fallback" or not 1 <= analysis.attempts <= len(delays):
        return None
    return analysis.revision + delays[analysis.attempts - 1]


class Retries:
    """The incidents that wait, each by its newest analysis."""

    def __init__(self, delays: Sequence[int]) -> None:
        """`delays`: after the first failure, the second and so on, in microseconds."""
        self._delays = delays
        self._heap: list[tuple[int, str, int]] = []
        self._due: dict[str, int] = {}

    def note(self, analysis: Analysis, partition: int) -> None:
        """An analysis was published to a partition."""
        due = due_at(analysis, self._delays)
        if due is None:
            self._due.pop(analysis.incident_key, None)
        else:
            self.wake(analysis.incident_key, partition, due)

    def wake(self, key: str, partition: int, due: int) -> None:
        """Look at an incident again when `due` (microseconds)."""
        if len(self._due) < MAX_SCHEDULED:
            self._due[key] = due
            heappush(self._heap, (due, key, partition))

    def take(self, now: int, most: int, partitions: Collection[int]) -> list[tuple[str, int]]:
        """The keys whose time has come by `now` (microseconds), at most so many, with their partitions; forgotten then.

        Those of other partitions are another worker's; they stay for the case that they come back.
        """
        taken: list[tuple[str, int]] = []
        others: list[tuple[int, str, int]] = []
        while self._heap and self._heap[0][0] <= now and len(taken) < most:
            due, key, partition = heappop(self._heap)
            if self._due.get(key) != due:
                continue
            if partition not in partitions:
                others.append((due, key, partition))
                continue
            del self._due[key]
            taken.append((key, partition))
        for other in others:
            heappush(self._heap, other)
        return taken
