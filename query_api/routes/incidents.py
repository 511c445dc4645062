"""Reading incidents: the list and the detail."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from msgspec.json import encode

from query_api import queries
from query_api.answers import DETAIL, INCIDENT, IncidentAnswer, IncidentDetailAnswer, problems, shown
from query_api.database import Database
from query_api.etag import etag
from query_api.filters import IncidentFilter, incident_filter, sort_columns
from query_api.paging import Page, links, list_response, page
from query_api.routes.common import AWAY, NOT_FOUND, IncidentId, found_incident
from query_api.totals import Totals
from query_api.views import incident_detail, incident_summary

_EVENTS_SHOWN = 100


def router(database: Database) -> APIRouter:
    """The routes that read incidents."""
    totals = Totals()
    routes = APIRouter(prefix="/api/v1/incidents", tags=["incidents"])

    @routes.get(
        "",
        response_model=list[IncidentAnswer],
        summary="List incidents",
        responses={200: shown([INCIDENT], "A bare array; totals and pages are in the headers.", headers=_HEADERS)}
        | problems(status_422="status_filter: Input should be 'open', 'investigating', 'resolved' or 'closed'")
        | AWAY,
    )
    async def list_incidents(
        request: Request,
        wanted: Annotated[IncidentFilter, Depends(incident_filter)],
        part: Annotated[Page, Depends(page)],
    ) -> Response:
        """Newest first, unless `sort` says otherwise."""
        async with database.session() as session:
            found, total = await queries.incidents(session, totals, wanted, part)
        link = links(request, part, found, sort_columns(wanted.sort))
        return list_response([incident_summary(row) for row in found.rows], {"X-Total-Count": str(total), "Link": link})

    @routes.get(
        "/{incident_id}",
        response_model=IncidentDetailAnswer,
        summary="One incident",
        responses={200: shown(DETAIL, "The incident; its ETag goes into If-Match.", headers=_ETAG)} | NOT_FOUND | AWAY,
    )
    async def read_incident(incident_id: IncidentId) -> Response:
        """With its newest events, its timeline and its analysis."""
        async with database.session() as session:
            row = await found_incident(session, incident_id)
            detail = incident_detail(
                row,
                analysis=await queries.analysis(session, row.key),
                corrections=await queries.corrections(session, row.key),
                events=(await queries.events_of(session, row, Page(0, _EVENTS_SHOWN))).rows,
                related=await queries.ids_of(session, (row.previous_key, row.merged_into)),
            )
        return Response(encode(detail), headers={"ETag": etag(row)}, media_type="application/json")

    return routes


_HEADERS = {
    "X-Total-Count": {"description": "How many incidents match in all.", "schema": {"type": "integer"}},
    "Link": {"description": "The next and the previous page (RFC 8288).", "schema": {"type": "string"}},
}
_ETAG = {"ETag": {"description": "Changes with the status and the timeline.", "schema": {"type": "string"}}}
