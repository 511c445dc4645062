"""Every kind of record that other programs may read or write: its topic, key and type."""

from typing import Any, Final, NamedTuple

from schemas.analysis import Analysis, AnalysisRequest
from schemas.correction import Correction
from schemas.event import WireEvent
from schemas.incident import Incident, IncidentEvents
from schemas.letter_decision import LetterDecision
from schemas.status_change import StatusChange
from schemas.topics import (
    ANALYSES,
    ANALYSIS_REQUESTS,
    CANARY,
    CORRECTIONS,
    DLQ_DECISIONS,
    EVENTS,
    EVENTS_DLQ,
    EVENTS_LATE,
    INCIDENT_EVENTS,
    INCIDENT_STATUS,
    INCIDENTS,
    MISSED_INCIDENTS,
)
from schemas.verdict import MissedIncident


class Kind(NamedTuple):
    """Records of one topic. `value`: their type; None: whatever was received, JSON or not."""

    name: str
    topic: str
    value: Any
    key: str
    summary: str
    has_reason: bool = False
    """Its headers say why it is here and where it lay."""


KINDS: Final[tuple[Kind, ...]] = (
    Kind("events", EVENTS, WireEvent | list[WireEvent], "service",
         "One event, or an array of events. Of one service where the pipeline wrote it; `[]` moves the log's clock."),
    Kind("late-events", EVENTS_LATE, WireEvent, "service",
         "An event that came later than the allowed lateness.", has_reason=True),
    Kind("dead-letter", EVENTS_DLQ, None, "as received",
         "What cannot be read as an event, as it was received.", has_reason=True),
    Kind("incident", INCIDENTS, Incident, "incident key",
         "The whole incident; of two versions the greater counts."),
    Kind("incident-events", INCIDENT_EVENTS, IncidentEvents, "incident key",
         "Which events an incident has taken in since the record before."),
    Kind("analysis", ANALYSES, Analysis, "incident key",
         "An analysis of an incident; of two the greater `revision` counts."),
    Kind("analysis-request", ANALYSIS_REQUESTS, AnalysisRequest, "incident key",
         "A person asks for a new analysis."),
    Kind("status-change", INCIDENT_STATUS, StatusChange, "service",
         "A person changes the status of an incident, or gives a verdict."),
    Kind("correction", CORRECTIONS, Correction, "`change_id`",
         "A person corrects an analysis; of several the one with the greatest `at` counts."),
    Kind("missed-incident", MISSED_INCIDENTS, MissedIncident, "`id`",
         "Something was wrong, and no incident told of it."),
    Kind("letter-decision", DLQ_DECISIONS, LetterDecision, "`topic/partition/offset`",
         "What a person did with a dead letter or a late event; the newest of a place counts."),
    Kind("canary-incident", CANARY, Incident, "incident key",
         "An incident of the pipeline's own canary, which shows that incidents still come out; nobody is told of it."),
)  # fmt: skip


def file_of(kind: Kind) -> str:
    """The name of its schema's file."""
    return f"{kind.name}.json"
