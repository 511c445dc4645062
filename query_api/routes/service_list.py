"""Reading services: which there are, their rates by level, and what is active on them."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from query_api import service_rates
from query_api.answers import SERVICE, ServiceAnswer, problems, shown
from query_api.database import Database
from query_api.paging import Page, Part, links, list_response, numbered_page
from query_api.routes.common import AWAY
from query_api.service_rates import ServiceFilter, service_filter, service_view, span_of


def router(database: Database) -> APIRouter:
    """The route that reads services."""
    routes = APIRouter(prefix="/api/v1/services", tags=["services"])

    @routes.get(
        "",
        response_model=list[ServiceAnswer],
        summary="List services",
        responses={200: shown([SERVICE], "A bare array; totals and pages are in the headers.", headers=_HEADERS)}
        | problems(status_422="since: must lie before until")
        | AWAY,
    )
    async def list_services(
        request: Request,
        wanted: Annotated[ServiceFilter, Depends(service_filter)],
        part: Annotated[Page, Depends(numbered_page)],
    ) -> Response:
        """Every service that has sent events, with its events by minute and level: of the last hour, if not told."""
        span = span_of(wanted, part, datetime.now(UTC))
        async with database.session() as session:
            rows, total = await service_rates.services(session, wanted, part)
            names = [row.service for row in rows]
            by_minute = await service_rates.minutes(session, names, span)
            active = await service_rates.active_incidents(session, names)
        found = [service_view(row, by_minute.get(row.service, []), active.get(row.service, [])) for row in rows]
        listed = Part(list(rows), before=part.skip > 0, after=total > part.skip + part.limit)
        link = links(request, part, listed, ())
        return list_response(found, {"X-Total-Count": str(total), "Link": link})

    return routes


_HEADERS = {
    "X-Total-Count": {"description": "How many services match in all.", "schema": {"type": "integer"}},
    "Link": {"description": "The next and the previous page (RFC 8288).", "schema": {"type": "string"}},
}
