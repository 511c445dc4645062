"""`GET /api/v1/services/{service}/explain`: the answer over HTTP."""

import asyncio
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from runtime.problem import MEDIA_TYPE, Problem
from runtime.query_times import MomentAsked
from schemas.lifecycle import Status
from schemas.timestamps import now_micros, to_micros, to_rfc3339
from stream_processor.explain.history import MAX_EVENTS
from stream_processor.explain.report import ActiveIncident, Report, RuleReport, explain
from stream_processor.explain.rules_on_demand import RulesOnDemand, rules_or_problem
from stream_processor.explain.source import HistorySource, SourceAway, UnknownService
from stream_processor.ledger import Reason
from stream_processor.rule_watch import fingerprint_of
from stream_processor.rules import RuleSet

PREFIX: Final = "/api/v1/services/"
SUFFIX: Final = "/explain"
_RETRY_AFTER: Final = {"Retry-After": "5"}


Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class WindowAnswer(BaseModel):
    """A span of event time, both ends included."""

    start: Moment
    end: Moment


class ActiveIncidentAnswer(BaseModel):
    """The incident that is active then; `id` is null where the view does not know it yet."""

    id: int | None
    key: str
    status: Status
    event_count: int
    first_event_at: Moment
    last_event_at: Moment


class NearMissAnswer(BaseModel):
    """At least 80% of the threshold within a window, and no incident."""

    count: int
    first: Moment
    last: Moment


class RuleAnswer(BaseModel):
    """What one rule makes of the service."""

    rule: str
    kind: str
    shadow: Annotated[bool, Field(description="The rule is on trial: nobody is told of its incidents.")]
    count: Annotated[int, Field(description="Events within the window that count towards the threshold.")]
    threshold: Annotated[int | None, Field(description="What the count must come to; null: it cannot be told yet.")]
    window: WindowAnswer
    note: Annotated[str, Field(description="What else the rule looks at, in words; empty for kind count.")]
    reasons: Annotated[dict[Reason, int], Field(description="How the events that were looked at ended for this rule.")]
    incident: ActiveIncidentAnswer | None
    near_misses: list[NearMissAnswer]


class ExplainAnswer(BaseModel):
    """Why there is an incident of the service, or none, at a time."""

    service: str
    at: Moment
    since: Annotated[Moment, Field(description="Events from here on were looked at.")]
    events: Annotated[int, Field(description="How many events were looked at.")]
    cut: Annotated[bool, Field(description=f"Older events were left out: only the newest {MAX_EVENTS:,} are used.")]
    newest_event_at: Moment | None
    rules_fingerprint: Annotated[str, Field(description="As on the processor's page /rules.")]
    rules: list[RuleAnswer]


_EXAMPLE: Final[dict[str, Any]] = {
    "service": "user-service",
    "at": "2026-11-20T09:20:00.000000Z",
    "since": "2026-11-20T08:05:00.000000Z",
    "events": 6,
    "cut": False,
    "newest_event_at": "2026-11-20T09:18:10.000000Z",
    "rules_fingerprint": "5f0c1ad7c2b9",
    "rules": [
        {
            "rule": "error-burst",
            "kind": "count",
            "shadow": False,
            "count": 4,
            "threshold": 5,
            "window": {"start": "2026-11-20T09:15:00.000000Z", "end": "2026-11-20T09:20:00.000000Z"},
            "note": "",
            "reasons": {"below_level": 2, "qualified": 4},
            "incident": None,
            "near_misses": [{"count": 4, "first": "2026-11-20T09:17:00Z", "last": "2026-11-20T09:18:10Z"}],
        }
    ],
}


def _problem(status: int, detail: str) -> dict[int | str, dict[str, Any]]:
    example = {"status": status, "detail": detail}
    return {status: {"description": detail, "content": {MEDIA_TYPE: {"example": example}}}}


def router(source: HistorySource, rules: RulesOnDemand) -> APIRouter:
    """The route; one question is worked on at a time, so that many do not keep a worker from its other work."""
    routes = APIRouter(tags=["services"])
    turn = asyncio.Semaphore(1)

    @routes.get(
        PREFIX + "{service:path}" + SUFFIX,
        summary="Why there is an incident, or none",
        responses={200: {"description": "By rule.", "content": {"application/json": {"example": _EXAMPLE}}}}
        | _problem(404, "No event of service checkout is known")
        | _problem(422, "at: Input should be a valid datetime")
        | _problem(503, "The events cannot be read: no connection to the query API; please try again"),
    )
    async def explain_service(
        service: Annotated[str, Path(examples=["user-service"])],
        at: Annotated[
            MomentAsked, Query(description="Event time up to which events count (RFC 3339); default: now.")
        ] = None,
    ) -> ExplainAnswer:
        """Run the detection once more over what the service has sent up to `at`."""
        in_force = await rules_or_problem(rules)
        moment = now_micros() if at is None else to_micros(at)
        async with turn:
            try:
                history = await source.history(service, in_force, moment)
            except UnknownService as unknown:
                raise Problem(404, str(unknown)) from unknown
            except SourceAway as away:
                detail = f"The events cannot be read: {away}; please try again"
                raise Problem(503, detail, headers=_RETRY_AFTER) from away
            report = await asyncio.to_thread(explain, history, in_force, is_past=at is not None)
        return _answer(report, in_force)

    return routes


def _answer(report: Report, rules: RuleSet) -> ExplainAnswer:
    history = report.history
    return ExplainAnswer(
        service=history.service,
        at=to_rfc3339(history.at),
        since=to_rfc3339(history.since),
        events=len(history.events),
        cut=history.is_cut,
        newest_event_at=None if report.newest is None else to_rfc3339(report.newest),
        rules_fingerprint=fingerprint_of(rules),
        rules=[_rule_answer(one) for one in report.rules],
    )


def _rule_answer(report: RuleReport) -> RuleAnswer:
    return RuleAnswer(
        rule=report.rule.name,
        kind=report.rule.kind,
        shadow=report.rule.shadow,
        count=report.standing.count,
        threshold=report.standing.threshold,
        window=WindowAnswer(start=to_rfc3339(report.standing.start), end=to_rfc3339(report.standing.end)),
        note=report.standing.note,
        reasons=report.reasons,
        incident=_incident_answer(report.incident) if report.incident else None,
        near_misses=[
            NearMissAnswer(count=miss.count, first=to_rfc3339(miss.first), last=to_rfc3339(miss.last))
            for miss in report.near_misses
        ],
    )


def _incident_answer(incident: ActiveIncident) -> ActiveIncidentAnswer:
    return ActiveIncidentAnswer(
        id=incident.id,
        key=incident.key,
        status=incident.status,
        event_count=incident.event_count,
        first_event_at=to_rfc3339(incident.first_event_at),
        last_event_at=to_rfc3339(incident.last_event_at),
    )
