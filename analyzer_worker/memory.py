"""What the worker remembers, within bounds: which incidents were analysed, and the newest record of each."""

from collections import OrderedDict
from typing import Final, Generic, TypeVar

import msgspec

from schemas.analysis import Analysis, AnalysisStatus, Severity
from schemas.incident import Incident

MAX_KNOWN: Final = 200_000
"""Analyses remembered, about 200 bytes each."""
MAX_INCIDENTS: Final = 5_000
"""Incident records remembered, a few kilobytes each."""

Value = TypeVar("Value")


class Recent(Generic[Value]):
    """A dictionary that forgets what was not touched for longest."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._items: OrderedDict[str, Value] = OrderedDict()

    def __len__(self) -> int:
        return len(self._items)

    def get(self, key: str) -> Value | None:
        """The value, which counts as touching it."""
        if key in self._items:
            self._items.move_to_end(key)
        return self._items.get(key)

    def put(self, key: str, value: Value) -> None:
        """Remember `value`."""
        self._items[key] = value
        self._items.move_to_end(key)
        if len(self._items) > self._size:
            self._items.popitem(last=False)


class Known(msgspec.Struct, frozen=True):
    """The newest analysis of an incident, as far as it matters here."""

    status: AnalysisStatus
    revision: int
    event_count: int = 0
    """How many events it had when it was analysed, or when that was tried once more in vain."""
    looked_at: int = 0
    """How many it had when its first events were last read."""
    templates: frozenset[str] = frozenset()
    attempts: int = 0
    severity: Severity = "P3"


class Memory:
    """Everything the worker remembers."""

    def __init__(self, max_known: int = MAX_KNOWN, max_incidents: int = MAX_INCIDENTS) -> None:
        self._known: Recent[Known] = Recent(max_known)
        self._incidents: Recent[Incident] = Recent(max_incidents)

    def learn(self, analysis: Analysis) -> None:
        """Take note of a published analysis; an older revision changes nothing."""
        known = self._known.get(analysis.incident_key)
        if known is None or analysis.revision > known.revision:
            self._known.put(
                analysis.incident_key,
                Known(
                    analysis.analysis_status,
                    analysis.revision,
                    event_count=analysis.event_count,
                    templates=frozenset(analysis.templates),
                    attempts=analysis.attempts,
                    severity=analysis.severity,
                ),
            )

    def known(self, key: str) -> Known | None:
        """What is known of the incident's newest analysis, if anything."""
        return self._known.get(key)

    def looked(self, incident: Incident) -> None:
        """Its first events were read once more, and are what was analysed."""
        known = self._known.get(incident.key)
        if known is not None:
            self._known.put(incident.key, msgspec.structs.replace(known, looked_at=incident.event_count))

    def stands(self, incident: Incident) -> None:
        """It was analysed once more in vain: what stands counts for what it is now."""
        known = self._known.get(incident.key)
        if known is not None:
            self._known.put(incident.key, msgspec.structs.replace(known, event_count=incident.event_count))

    def next_revision(self, key: str, now: int) -> int:
        """A revision that is `now` (microseconds) and yet greater than every known one, whatever the clock does."""
        known = self._known.get(key)
        return max(now, known.revision + 1) if known else now

    def remember(self, incident: Incident) -> None:
        """Keep the newest version of an incident."""
        present = self._incidents.get(incident.key)
        if present is None or incident.version >= present.version:
            self._incidents.put(incident.key, incident)

    def incident(self, key: str) -> Incident | None:
        """The newest version known."""
        return self._incidents.get(key)
