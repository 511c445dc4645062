"""Asking for a new analysis, and waiting a while for it."""

import asyncio
from typing import Final

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from query_api import queries
from query_api.answers import ANALYZED, AnalyzeAnswer, problems, shown
from query_api.database import Database
from query_api.live import Live
from query_api.models import AnalysisRow
from query_api.publisher import Publisher
from query_api.routes.common import AWAY, NOT_FOUND, ActorHeader, IncidentId, active_record, actor, found_incident
from schemas.analysis import AnalysisRequest
from schemas.identity import uuid7
from schemas.timestamps import now_micros
from schemas.topics import ANALYSIS_REQUESTS

WAIT_SECONDS: Final = 30.0
_LOOK_SECONDS: Final = 1.0


def router(database: Database, publisher: Publisher, live: Live, wait_seconds: float = WAIT_SECONDS) -> APIRouter:
    """The route that asks for an analysis."""
    routes = APIRouter(prefix="/api/v1/incidents", tags=["incidents"])

    @routes.post(
        "/{incident_id}/analyze",
        response_model=AnalyzeAnswer,
        summary="Analyse again",
        responses={
            200: shown(ANALYZED, "The new analysis."),
            202: shown(ANALYZED | {"analysis_completed": False}, "Asked for, but not done within 30 s."),
        }
        | problems(status_409="The incident was merged into 7; work on that one instead")
        | NOT_FOUND
        | AWAY,
    )
    async def analyze(incident_id: IncidentId, x_actor: ActorHeader = None) -> Response:
        """Waits up to 30 s."""
        async with database.session() as session:
            row = await active_record(session, incident_id)
            before = await queries.analysis(session, row.key)
        request = AnalysisRequest(uuid7(), row.key, now_micros(), actor(x_actor))
        await publisher.publish(ANALYSIS_REQUESTS, row.partition, row.key, request)
        done = await _done(database, live, request, before, wait_seconds)
        async with database.session() as session:
            row = await found_incident(session, incident_id)
        content = {
            "incident_id": row.id,
            "category": row.category,
            "severity": row.severity,
            "summary": row.summary,
            "recommended_actions": row.recommended_actions,
            "analysis_completed": done,
        }
        return JSONResponse(content, 200 if done else 202)

    return routes


async def _done(
    database: Database, live: Live, request: AnalysisRequest, before: AnalysisRow | None, seconds: float
) -> bool:
    deadline = asyncio.get_running_loop().time() + seconds
    while (left := deadline - asyncio.get_running_loop().time()) > 0 and not live.ended:
        async with database.session() as session:
            if answers(await queries.analysis(session, request.incident_key), request.request_id, before):
                return True
        await live.progress(min(left, _LOOK_SECONDS))
    return False


def answers(now: AnalysisRow | None, request_id: str, before: AnalysisRow | None) -> bool:
    """Whether an analysis is this request's, or that of another person's which was finished after it was made."""
    if now is None or now.request_id is None:
        return False
    asked_before = before.request_id if before else None
    return now.request_id == request_id or now.request_id != asked_before
