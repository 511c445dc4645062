"""What the dashboard reads from the HTTP API (CONTRACT 5): tolerant of members that it does not know."""

from datetime import datetime

import msgspec

from schemas.lifecycle import Status


class IncidentRow(msgspec.Struct, frozen=True):
    """An incident as the list gives it. Category and severity are open sets here: an unknown one is shown as it is."""

    id: int
    key: str
    service: str
    rule: str
    status: Status
    created_at: datetime
    updated_at: datetime
    first_event_at: datetime
    last_event_at: datetime
    event_count: int
    category: str | None = None
    severity: str | None = None
    summary: str | None = None
    recommended_actions: list[str] = []
    analysis_status: str | None = None


class MinuteView(msgspec.Struct, frozen=True):
    """A service's events of one minute, by level; minutes without events are left out."""

    minute: datetime
    by_level: dict[str, int]


class Counts(msgspec.Struct, frozen=True):
    """How many incidents there are, by status and then by severity."""

    total: int
    by_status: dict[str, dict[str, int]]


class TimelineEntry(msgspec.Struct, frozen=True, rename={"from_status": "from", "to_status": "to"}):
    """One change: when, who, what, from which status to which, and why."""

    time: datetime
    actor: str
    what: str
    from_status: str | None = None
    to_status: str | None = None
    reason: str | None = None
    note: str | None = None
    verdict: str | None = None


class Quote(msgspec.Struct, frozen=True):
    """A verbatim quote from an event, that an analysis rests on."""

    event_id: str
    quote: str


class AnalysisView(msgspec.Struct, frozen=True):
    """The newest analysis of an incident."""

    category: str | None = None
    severity: str | None = None
    summary: str | None = None
    recommended_actions: list[str] = []
    confidence: float | None = None
    evidence: list[Quote] = []
    analyzed_by: str | None = None
    analysis_status: str | None = None
    reason: str | None = None
    cost_usd: float | None = None
    latency_ms: float | None = None
    shared_with: str | None = None
    attempts: int = 0


class CorrectionView(msgspec.Struct, frozen=True):
    """What a person says an incident is; None: as analysed."""

    actor: str
    at: datetime
    category: str | None = None
    severity: str | None = None
    note: str | None = None


class EventView(msgspec.Struct, frozen=True):
    """One event of an incident."""

    id: str
    service: str
    level: str
    message: str
    timestamp: datetime


class IncidentDetail(IncidentRow, frozen=True):
    """An incident with all that its own page shows. `window` is in seconds."""

    events: list[EventView] = []
    timeline: list[TimelineEntry] = []
    analysis: AnalysisView | None = None
    correction: CorrectionView | None = None
    previous_incident_id: int | None = None
    merged_into: int | None = None
    status_pending: bool = False
    reason: str | None = None
    threshold: int | None = None
    window: float | None = None
    minutes: list[MinuteView] = []
    verdict: str | None = None
    shadow: bool = False


class Resolution(msgspec.Struct, frozen=True):
    """What ended an incident."""

    actor: str
    note: str | None = None
    reason: str | None = None


class SimilarIncident(msgspec.Struct, frozen=True):
    """A past incident that was like this one (`similarity` is 0 to 1), and what ended it, as far as that is known."""

    id: int
    service: str
    status: str
    summary: str | None = None
    severity: str | None = None
    similarity: float | None = None
    resolution: Resolution | None = None


class Similar(msgspec.Struct, frozen=True):
    """Past incidents that were alike, the most similar first."""

    similar: list[SimilarIncident] = []


class ActiveIncident(msgspec.Struct, frozen=True):
    """An incident of a service that is open or investigated."""

    id: int
    severity: str
    status: str
    rule: str = ""


class ServiceView(msgspec.Struct, frozen=True):
    """A service with its events of a span, by level and minute."""

    service: str
    first_event_at: datetime
    last_event_at: datetime
    active_incidents: list[ActiveIncident] = []
    by_level: dict[str, int] = {}
    minutes: list[MinuteView] = []


class NearMiss(msgspec.Struct, frozen=True):
    """A window that almost was an incident."""

    count: int | float
    first: datetime | None = None
    last: datetime | None = None


class Window(msgspec.Struct, frozen=True):
    """A span of event time, both ends included."""

    start: datetime
    end: datetime


class ExplainedRule(msgspec.Struct, frozen=True):
    """What one rule makes of a service."""

    rule: str
    count: int | float
    threshold: int | float
    window: Window | None = None
    reasons: dict[str, int] = {}
    near_misses: list[NearMiss] = []


class Explanation(msgspec.Struct, frozen=True):
    """What the rules make of a service."""

    rules: list[ExplainedRule] = []


class Readiness(msgspec.Struct, frozen=True):
    """One process of the pipeline and what it lacks."""

    service: str
    url: str
    ready: bool
    reasons: dict[str, str] = {}


class Consumer(msgspec.Struct, frozen=True):
    """How far a consumer group is behind in one partition; offsets and lag count records."""

    group: str
    topic: str
    partition: int
    current: int
    end: int
    lag: int
    seconds: float | None = None
    rate_in: float | None = None
    rate_out: float | None = None
    seconds_to_catch_up: float | None = None


class GroupState(msgspec.Struct, frozen=True):
    """A consumer group as Kafka describes it."""

    group: str
    state: str
    members: int


class LagPoint(msgspec.Struct, frozen=True):
    """How far a group was behind in a topic: records of all partitions, seconds of the worst."""

    at: datetime
    lag: int
    seconds: float | None = None


class LagCurve(msgspec.Struct, frozen=True):
    """The last hour of one group in one topic."""

    group: str
    topic: str
    points: list[LagPoint] = []


class LatencyView(msgspec.Struct, frozen=True):
    """Seconds from an event to its visible incident, over the last hour; None: there was no incident."""

    incidents: int = 0
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


class VisibilityView(msgspec.Struct, frozen=True):
    """Whether the pipeline sees; `blind` is None where nobody looks."""

    blind: bool | None = None
    reason: str | None = None
    incidents: LatencyView = LatencyView()
    canary: LatencyView = LatencyView()


class PipelineView(msgspec.Struct, frozen=True):
    """The pipeline as its operators see it."""

    at: datetime
    services: list[Readiness] = []
    groups: list[GroupState] = []
    consumers: list[Consumer] = []
    consumers_unavailable: str | None = None
    ledger: dict[str, int] = {}
    dead_letters: dict[str, int] = {}
    visibility: VisibilityView = VisibilityView()


class BulkResult(msgspec.Struct, frozen=True):
    """What became of one of several incidents; `detail` is empty where it was changed."""

    incident_id: int
    detail: str = ""


class BulkAnswer(msgspec.Struct, frozen=True):
    """What became of each of several incidents."""

    results: list[BulkResult]


class RejectedEvent(msgspec.Struct, frozen=True):
    """An event of a batch that the gateway refused, and why, field by field."""

    index: int
    errors: list[dict[str, str]] = []


class BatchAnswer(msgspec.Struct, frozen=True):
    """What became of a batch of events."""

    accepted: int
    rejected: list[RejectedEvent] = []


class Problem(msgspec.Struct, frozen=True):
    """An RFC 9457 error answer."""

    title: str | None = None
    detail: str | None = None
