"""When an incident whose model failed is asked about again: a schedule in memory, read back from the log at a start."""

from collections.abc import Sequence
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
        self._heap: list[tuple[int, str]] = []
        self._due: dict[str, int] = {}

    def note(self, analysis: Analysis) -> None:
        """An analysis was published."""
        due = due_at(analysis, self._delays)
        if due is None:
            self._due.pop(analysis.incident_key, None)
        elif len(self._due) < MAX_SCHEDULED:
            self._due[analysis.incident_key] = due
            heappush(self._heap, (due, analysis.incident_key))

    def take(self, now: int, most: int) -> list[str]:
        """The keys whose time has come by `now` (microseconds), at most so many; they are forgotten."""
        keys: list[str] = []
        while self._heap and self._heap[0][0] <= now and len(keys) < most:
            due, key = heappop(self._heap)
            if self._due.get(key) == due:
                del self._due[key]
                keys.append(key)
        return keys
