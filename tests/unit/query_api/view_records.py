"""Records as the processor and the analyzer write them, for tests of the view."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from query_api.materializer.batch import Batch, Source, make_batch
from query_api.materializer.rows import Record
from schemas.analysis import Analysis, Evidence
from schemas.codec import encode
from schemas.correction import Correction
from schemas.incident import AttachedEvent, Change, EventPosition, Incident, IncidentEvents, MinuteCount
from schemas.timestamps import MICROSECONDS
from schemas.topics import ANALYSES, CANARY, CORRECTIONS, EVENTS, INCIDENT_EVENTS, INCIDENTS

Rows = Callable[[str], Awaitable[list[dict[str, Any]]]]
"""Gives the rows of a query."""

START = 1_700_000_000 * MICROSECONDS
"""When the events of the tests begin, in microseconds since the epoch."""

OPENED = Change(START, "system", "opened", "5 events of checkout within 300 s", to_status="open")


def incident(key: str = "k1", version: int = 5, **changes: Any) -> Incident:
    """An incident as it is after its fifth event."""
    fields: dict[str, Any] = {
        "service": "checkout",
        "rule": "error-burst",
        "status": "open",
        "event_count": 5,
        "first_event_at": START,
        "last_event_at": START + 4,
        "created_at": START + 10,
        "updated_at": START + 10,
        "threshold": 5,
        "window": 300 * MICROSECONDS,
        "reason": "5 events of checkout within 300 s",
        "partition": 0,
        "samples": [EventPosition(0, 0)],
        "timeline": [OPENED],
        "minutes": [MinuteCount(START // MICROSECONDS // 60, {"ERROR": 5})],
    }
    return Incident(key=key, version=version, **(fields | changes))


def analysis(key: str = "k1", revision: int = 1, **changes: Any) -> Analysis:
    """An analysis of it by the rules."""
    fields: dict[str, Any] = {
        "incident_version": 5,
        "category": "database_issue",
        "severity": "P2",
        "summary": "The pool is exhausted.",
        "recommended_actions": ["Look at the pool"],
        "confidence": 0.8,
        "evidence": [Evidence("e1", "pool exhausted")],
        "analyzed_by": "rules",
        "analysis_status": "done",
        "reason": "the words 'pool exhausted'",
    }
    return Analysis(incident_key=key, revision=revision, **(fields | changes))


def event(number: int = 0, **changes: Any) -> dict[str, Any]:
    """An event of the service checkout, as a producer sends it."""
    fields = {
        "id": f"e{number}",
        "service": "checkout",
        "level": "ERROR",
        "message": f"pool exhausted, number {number}",
        "timestamp": f"2023-11-14T22:13:{20 + number:02d}Z",
    }
    return fields | changes


class Log:
    """A few partitions in memory, from which batches are read as from Kafka."""

    def __init__(self, partitions: int = 1) -> None:
        self.partitions = partitions
        self.records: dict[Source, list[Record]] = {}
        self.millis = START // 1_000

    def at(self, moment: datetime) -> "Log":
        """What is written from now on is received at this moment."""
        self.millis = int(moment.timestamp() * 1_000)
        return self

    def append(self, topic: str, value: bytes | None, partition: int = 0) -> None:
        """Write a record."""
        records = self.records.setdefault(Source(topic, partition), [])
        records.append(Record(topic, partition, len(records), self.millis, value))

    def incidents(self, *records: Incident, partition: int = 0) -> None:
        """Write incident records."""
        for record in records:
            self.append(INCIDENTS, encode(record), partition)

    def canaries(self, *records: Incident) -> None:
        """Write incidents of the canary."""
        for record in records:
            self.append(CANARY, encode(record))

    def analyses(self, *records: Analysis) -> None:
        """Write analysis records."""
        for record in records:
            self.append(ANALYSES, encode(record))

    def corrections(self, *records: Correction) -> None:
        """Write corrections."""
        for record in records:
            self.append(CORRECTIONS, encode(record))

    def events(self, *events: dict[str, Any], partition: int = 0) -> None:
        """Write events, each in a record of its own."""
        for each in events:
            self.append(EVENTS, encode(each), partition)

    def links(self, key: str, *positions: AttachedEvent) -> None:
        """Write which events an incident took in."""
        self.append(INCIDENT_EVENTS, encode(IncidentEvents(key, "checkout", 0, list(positions))))

    def batch(self, positions: dict[Source, int] | None = None) -> Batch:
        """Everything from these positions on."""
        return make_batch(self.records, positions or dict.fromkeys(self.records, 0), self.partitions)


Fill = Callable[[Log], Awaitable[None]]
"""Writes into the view what a log has beyond what the view has read of it."""
