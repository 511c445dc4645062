"""The shapes of answers, for the OpenAPI document: what a client may rely on, with examples."""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from runtime.problem import MEDIA_TYPE
from schemas.analysis import AnalysisStatus, Category, Severity
from schemas.incident import ChangeKind
from schemas.levels import Level
from schemas.lifecycle import Status
from schemas.verdict import Verdict

Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class EventAnswer(BaseModel):
    """An event and the incident that took it in."""

    id: str
    service: str
    level: Level
    message: str
    timestamp: Moment
    incident_id: int | None


class IncidentAnswer(BaseModel):
    """An incident as lists show it."""

    id: Annotated[int, Field(description="A small running number.")]
    key: Annotated[str, Field(description="The stable identity, the same after any replay.")]
    service: str
    rule: str
    category: Category
    severity: Severity
    summary: str
    recommended_actions: list[str]
    status: Status
    created_at: Moment
    updated_at: Moment
    first_event_at: Moment
    last_event_at: Moment
    event_count: int
    analysis_status: AnalysisStatus


class ChangeAnswer(BaseModel):
    """An entry of a timeline."""

    model_config = ConfigDict(populate_by_name=True)

    time: Moment
    actor: str
    what: ChangeKind | Literal["corrected"]
    from_: Annotated[Status | None, Field(alias="from")]
    to: Status | None
    note: str | None
    reason: str
    after: Annotated[
        int | None,
        Field(description="Of what came between events: the offset in the incident's partition that it follows."),
    ] = None
    verdict: Annotated[Verdict | None, Field(description="What a person judged it to be.")] = None


class EvidenceAnswer(BaseModel):
    """A verbatim quote from an event."""

    event_id: str
    quote: str


class AnalysisAnswer(BaseModel):
    """What the analyzer made of an incident."""

    category: Category
    severity: Severity
    summary: str
    recommended_actions: list[str]
    confidence: float
    evidence: list[EvidenceAnswer]
    analyzed_by: str
    cost_usd: float
    latency_ms: int
    shared_with: Annotated[
        str | None, Field(description="The key of the incident with the same messages whose answer this is.")
    ]
    input_tokens: Annotated[int, Field(description="What models have charged, also in vain.")]
    output_tokens: int
    attempts: Annotated[int, Field(description="How often models were asked in vain; they are asked again.")]
    analysis_status: AnalysisStatus
    reason: str


class CorrectionAnswer(BaseModel):
    """What a person says an incident is; null: as analysed."""

    category: Category | None
    severity: Severity | None
    note: str | None
    actor: str
    at: Moment


class MinuteAnswer(BaseModel):
    """The service's events of one minute, by level."""

    minute: Moment
    by_level: dict[Level, int]


class IncidentDetailAnswer(IncidentAnswer):
    """An incident with all that is known of it."""

    events: Annotated[list[EventAnswer], Field(description="The newest 100; the rest: /api/v1/events?incident_id=")]
    timeline: list[ChangeAnswer]
    analysis: Annotated[AnalysisAnswer | None, Field(description="As it was made, whatever was corrected since.")]
    correction: CorrectionAnswer | None
    previous_incident_id: int | None
    merged_into: Annotated[int | None, Field(description="The incident that this one turned out to be part of.")]
    shadow: Annotated[bool, Field(description="Its rule is on trial; lists show it with shadow=true only.")]
    verdict: Annotated[Verdict | None, Field(description="What people judged it to be last.")]
    status_pending: Annotated[bool, Field(description="The processor has yet to confirm the status.")]
    reason: str
    threshold: int
    window: Annotated[float, Field(description="Seconds.")]
    lateness: Annotated[float, Field(description="Seconds that the event which opened it was late.")]
    minutes: list[MinuteAnswer]


class ResolutionAnswer(BaseModel):
    """What ended an incident."""

    time: Moment
    actor: str
    note: Annotated[str | None, Field(description="What the person noted who ended it.")]
    reason: str


class PastIncidentAnswer(BaseModel):
    """An incident that ended and was similar."""

    id: int
    key: str
    service: str
    category: Category
    severity: Severity
    summary: str
    status: Status
    event_count: int
    created_at: Moment
    similarity: Annotated[float, Field(description="0 to 1.")]
    resolution: ResolutionAnswer | None


class SimilarAnswer(BaseModel):
    """Similar past incidents."""

    method: Annotated[
        Literal["vector", "full_text"], Field(description="By pgvector, or by words where it is not installed.")
    ]
    similar: list[PastIncidentAnswer]


class StatusAnswer(BaseModel):
    """A status change was made."""

    message: str
    incident_id: int
    new_status: Status


class BulkStatusResult(BaseModel):
    """What became of one incident of many: as a request for it alone would have been answered."""

    incident_id: int
    status: Annotated[int, Field(description="200, or the status of the error.")]
    new_status: Status | None = None
    detail: Annotated[str | None, Field(description="The sentence of the error.")] = None


class BulkStatusAnswer(BaseModel):
    """What became of each incident."""

    changed: Annotated[int, Field(description="How many have the wanted status now.")]
    failed: int
    results: list[BulkStatusResult]


class CorrectAnswer(BaseModel):
    """An analysis was corrected; category and severity are what is shown from now on."""

    message: str
    incident_id: int
    category: Category | None
    severity: Severity | None


class AnalyzeAnswer(BaseModel):
    """The analysis of an incident as it is now."""

    incident_id: int
    category: Category
    severity: Severity
    summary: str
    recommended_actions: list[str]
    analysis_completed: bool


class ActiveIncidentAnswer(BaseModel):
    """An incident that is open or investigated."""

    id: int
    rule: str
    severity: Severity
    status: Status


class ServiceAnswer(BaseModel):
    """A service: when it was heard of, what is active on it, and its events by minute and level."""

    service: str
    first_event_at: Moment
    last_event_at: Moment
    active_incidents: Annotated[list[ActiveIncidentAnswer], Field(description="The worst first.")]
    by_level: Annotated[dict[Level, int], Field(description="Events of the span, by level.")]
    minutes: Annotated[list[MinuteAnswer], Field(description="In order; minutes without events are left out.")]


class CountsAnswer(BaseModel):
    """How many incidents there are."""

    total: int
    by_status: Annotated[dict[Status, dict[Severity, int]], Field(description="By status, then by severity.")]


class ReadinessAnswer(BaseModel):
    """One process of the pipeline and what it says of itself."""

    service: str
    url: str
    ready: bool
    reasons: Annotated[dict[str, str], Field(description="What is missing; empty when it is ready.")]


class LagAnswer(BaseModel):
    """How far one consumer group is behind in one partition; offsets and lag count records."""

    group: str
    topic: str
    partition: int
    current: Annotated[int, Field(description="The next offset that the group will read after a restart.")]
    end: Annotated[int, Field(description="The offset that the next record will have.")]
    lag: int
    seconds: Annotated[float | None, Field(description="Age of the record that comes next; null: nobody could tell.")]
    rate_in: Annotated[float | None, Field(description="Records written a second, of the last minute.")]
    rate_out: Annotated[float | None, Field(description="Records committed a second, of the last minute.")]
    seconds_to_catch_up: Annotated[float | None, Field(description="null: unknown or, at this rate, never.")]


class GroupAnswer(BaseModel):
    """A consumer group as Kafka describes it."""

    group: str
    state: Annotated[str, Field(description="Stable, Empty, PreparingRebalance, CompletingRebalance or Dead.")]
    members: int


class LagPointAnswer(BaseModel):
    """How far a group was behind in a topic."""

    at: Moment
    lag: Annotated[int, Field(description="Records of all partitions.")]
    seconds: Annotated[float | None, Field(description="Of the worst partition; null: nobody could tell.")]


class LagHistoryAnswer(BaseModel):
    """The last hour of one group in one topic."""

    group: str
    topic: str
    points: list[LagPointAnswer]


class LatencyAnswer(BaseModel):
    """Seconds from the log's taking of the event that opened an incident until the incident was visible.

    Of incidents that became visible for the first time within the last hour; null where there was none.
    """

    incidents: int
    p50: float | None
    p95: float | None
    p99: float | None


class VisibilityAnswer(BaseModel):
    """Whether the pipeline sees: an incident of its own is to come every `canary_interval` seconds (0: none)."""

    blind: Annotated[bool | None, Field(description="Null where CANARY_INTERVAL is 0: nobody can tell.")]
    blind_partitions: Annotated[list[int], Field(description="Partitions of ops.events without such an incident.")]
    stopped_at: Annotated[
        Literal["gateway", "detection", "view"] | None, Field(description="The first step that has done nothing.")
    ]
    reason: Annotated[str | None, Field(description="Why it is blind, in a sentence.")]
    canary_interval: int
    incidents: LatencyAnswer
    canary: LatencyAnswer
    unavailable: Annotated[str | None, Field(description="Why the view could not be asked just now, if so.")]


class PipelineAnswer(BaseModel):
    """The pipeline as its operators see it."""

    at: Moment
    services: list[ReadinessAnswer]
    groups: Annotated[list[GroupAnswer], Field(description="Empty where the broker does not tell.")]
    consumers: list[LagAnswer]
    consumers_unavailable: Annotated[str | None, Field(description="Why there are no consumers to show, if so.")]
    ledger: Annotated[dict[str, int], Field(description="Events decided on, by reason, since each worker started.")]
    dead_letters: Annotated[dict[str, int], Field(description="Records dead-lettered, by reason, likewise.")]
    visibility: VisibilityAnswer


EVENT: Final[dict[str, Any]] = {
    "id": "01926f8e-5a1c-7c3e-9d0b-5f2f3c1f7a11",
    "service": "user-service",
    "level": "ERROR",
    "message": "connection pool exhausted: 50 of 50 in use",
    "timestamp": "2026-11-20T09:15:42.120000Z",
    "incident_id": 1,
}
INCIDENT: Final[dict[str, Any]] = {
    "id": 1,
    "key": "5f0c1ad7c2b94e0f8a6d3b21",
    "service": "user-service",
    "rule": "error-burst",
    "category": "database_issue",
    "severity": "P1",
    "summary": "The database connection pool of user-service is exhausted.",
    "recommended_actions": ["Look for queries that hold connections", "Raise the pool size if the database allows it"],
    "status": "open",
    "created_at": "2026-11-20T09:15:44.000000Z",
    "updated_at": "2026-11-20T09:16:02.000000Z",
    "first_event_at": "2026-11-20T09:15:42.120000Z",
    "last_event_at": "2026-11-20T09:16:01.870000Z",
    "event_count": 7,
    "analysis_status": "done",
}
DETAIL: Final[dict[str, Any]] = INCIDENT | {
    "events": [EVENT],
    "timeline": [
        {
            "time": "2026-11-20T09:15:44.000000Z",
            "actor": "system",
            "what": "opened",
            "from": None,
            "to": "open",
            "note": None,
            "reason": "5 events of user-service within 300 s",
        }
    ],
    "analysis": {
        "category": "database_issue",
        "severity": "P1",
        "summary": "The database connection pool of user-service is exhausted.",
        "recommended_actions": ["Look for queries that hold connections"],
        "confidence": 0.9,
        "evidence": [{"event_id": EVENT["id"], "quote": "connection pool exhausted"}],
        "analyzed_by": "rules",
        "cost_usd": 0.0,
        "latency_ms": 1,
        "shared_with": None,
        "input_tokens": 0,
        "output_tokens": 0,
        "attempts": 0,
        "analysis_status": "done",
        "reason": "the phrase 'connection pool exhausted'",
    },
    "correction": None,
    "previous_incident_id": None,
    "merged_into": None,
    "shadow": False,
    "verdict": None,
    "status_pending": False,
    "reason": "5 events of user-service within 300 s",
    "threshold": 5,
    "window": 300.0,
    "lateness": 0.0,
    "minutes": [{"minute": "2026-11-20T09:15:00.000000Z", "by_level": {"ERROR": 7}}],
}
SIMILAR: Final[dict[str, Any]] = {
    "method": "vector",
    "similar": [
        {
            "id": 1,
            "key": INCIDENT["key"],
            "service": INCIDENT["service"],
            "category": INCIDENT["category"],
            "severity": INCIDENT["severity"],
            "summary": INCIDENT["summary"],
            "status": "closed",
            "event_count": 7,
            "created_at": INCIDENT["created_at"],
            "similarity": 0.93,
            "resolution": {
                "time": "2026-11-20T09:40:10.000000Z",
                "actor": "ada",
                "note": "A report held connections open; killed it and raised the pool to 80.",
                "reason": "by hand",
            },
        }
    ],
}
CHANGED: Final[dict[str, Any]] = {
    "message": "Incident status updated successfully",
    "incident_id": 1,
    "new_status": "investigating",
}
CORRECTED: Final[dict[str, Any]] = {
    "message": "Analysis corrected successfully",
    "incident_id": 1,
    "category": "network_issue",
    "severity": "P2",
}
ANALYZED: Final[dict[str, Any]] = {
    "incident_id": 1,
    "category": "database_issue",
    "severity": "P1",
    "summary": "The database connection pool of user-service is exhausted.",
    "recommended_actions": ["Look for queries that hold connections"],
    "analysis_completed": True,
}

SERVICE: Final[dict[str, Any]] = {
    "service": "user-service",
    "first_event_at": "2026-11-19T07:00:03.000000Z",
    "last_event_at": "2026-11-20T09:16:01.870000Z",
    "active_incidents": [{"id": 1, "rule": "error-burst", "severity": "P1", "status": "open"}],
    "by_level": {"INFO": 240, "ERROR": 7},
    "minutes": [{"minute": "2026-11-20T09:15:00.000000Z", "by_level": {"INFO": 240, "ERROR": 7}}],
}
COUNTS: Final[dict[str, Any]] = {
    "total": 3,
    "by_status": {
        "open": {"P1": 1, "P2": 0, "P3": 1},
        "investigating": {"P1": 0, "P2": 0, "P3": 0},
        "resolved": {"P1": 0, "P2": 1, "P3": 0},
        "closed": {"P1": 0, "P2": 0, "P3": 0},
    },
}
PIPELINE: Final[dict[str, Any]] = {
    "at": "2026-11-20T09:16:02.000000Z",
    "services": [
        {"service": "api", "url": "http://127.0.0.1:8000", "ready": True, "reasons": {}},
        {
            "service": "materializer",
            "url": "http://127.0.0.1:8003",
            "ready": False,
            "reasons": {"postgresql": "the database cannot be reached"},
        },
    ],
    "groups": [{"group": "ops-materializer", "state": "Stable", "members": 1}],
    "consumers": [
        {
            "group": "ops-materializer",
            "topic": "ops.events",
            "partition": 0,
            "current": 41,
            "end": 42,
            "lag": 1,
            "seconds": 0.21,
            "rate_in": 4.5,
            "rate_out": 4.4,
            "seconds_to_catch_up": None,
        }
    ],
    "consumers_unavailable": None,
    "ledger": {"below_level": 240, "opened": 1, "attached": 6},
    "dead_letters": {"not_json": 2},
    "visibility": {
        "blind": False,
        "blind_partitions": [],
        "stopped_at": None,
        "reason": None,
        "canary_interval": 60,
        "incidents": {"incidents": 4, "p50": 0.31, "p95": 0.42, "p99": 0.43},
        "canary": {"incidents": 360, "p50": 0.28, "p95": 0.39, "p99": 0.51},
        "unavailable": None,
    },
}


LAG_HISTORY: Final[list[dict[str, Any]]] = [
    {
        "group": "ops-materializer",
        "topic": "ops.events",
        "points": [{"at": "2026-11-20T09:16:02.000000Z", "lag": 1, "seconds": 0.21}],
    }
]


def shown(example: Any, description: str, **more: Any) -> dict[str, Any]:
    """An entry of a route's `responses` with its example."""
    return {"description": description, "content": {"application/json": {"example": example}}} | more


def problems(**details: str) -> dict[int | str, dict[str, Any]]:
    """Entries of a route's `responses` for its errors: `status_404="No incident has this id"`."""
    return {
        int(status.removeprefix("status_")): {
            "description": detail,
            "content": {MEDIA_TYPE: {"example": {"status": int(status.removeprefix("status_")), "detail": detail}}},
        }
        for status, detail in details.items()
    }
