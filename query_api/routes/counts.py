"""How many incidents there are of each status and severity, in one look."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from msgspec.json import encode

from query_api.answers import COUNTS, CountsAnswer, problems, shown
from query_api.database import Database
from query_api.filters import IncidentFilter, incident_filter
from query_api.routes.common import AWAY
from query_api.totals import by_status_and_severity
from schemas.analysis import SEVERITIES
from schemas.lifecycle import STATUSES


def router(database: Database) -> APIRouter:
    """The route that counts incidents."""
    routes = APIRouter(prefix="/api/v1/incidents", tags=["incidents"])

    @routes.get(
        "/counts",
        response_model=CountsAnswer,
        summary="Count incidents",
        responses={200: shown(COUNTS, "Every status and severity, those without incidents too.")}
        | problems(status_422="status_filter: Input should be 'open', 'investigating', 'resolved' or 'closed'")
        | AWAY,
    )
    async def count_incidents(wanted: Annotated[IncidentFilter, Depends(incident_filter)]) -> Response:
        """Under the same filters as the list."""
        async with database.session() as session:
            by_status = _every_kind(await by_status_and_severity(session, wanted))
        total = sum(sum(by_severity.values()) for by_severity in by_status.values())
        return Response(encode({"total": total, "by_status": by_status}), media_type="application/json")

    return routes


def _every_kind(found: list[tuple[str, str, int]]) -> dict[str, dict[str, int]]:
    by_status: dict[str, dict[str, int]] = {status: dict.fromkeys(SEVERITIES, 0) for status in STATUSES}
    for status, severity, count in found:
        by_status[status][severity] = count
    return by_status
