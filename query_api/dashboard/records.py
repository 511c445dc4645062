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


class TimelineEntry(msgspec.Struct, frozen=True, rename={"from_status": "from", "to_status": "to"}):
    """One change: when, who, what, from which status to which, and why."""

    time: datetime
    actor: str
    what: str
    from_status: str | None = None
    to_status: str | None = None
    reason: str | None = None
    note: str | None = None


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
    previous_incident_id: int | None = None
    merged_into: int | None = None
    status_pending: bool = False
    reason: str | None = None
    threshold: int | None = None
    window: float | None = None


class Problem(msgspec.Struct, frozen=True):
    """An RFC 9457 error answer."""

    title: str | None = None
    detail: str | None = None
