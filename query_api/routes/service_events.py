"""Reading what a service has sent, as the detection has seen it."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, Field
from sqlmodel import col

from query_api import queries
from query_api.answers import Moment, problems, shown
from query_api.database import Database
from query_api.filters import EventFilter
from query_api.models import EventRow
from query_api.paging import Page, links, list_response, page
from query_api.routes.common import AWAY
from query_api.text import clean
from query_api.views import placed_event_view
from runtime.problem import Problem
from runtime.query_times import MomentAsked
from schemas.levels import Level


class PlacedEventAnswer(BaseModel):
    """An event and its place in the log, which tells the order of arrival."""

    id: str
    level: Level
    message: str
    timestamp: Moment
    attributes: dict[str, str | int | float | bool] | None
    partition: int
    offset: Annotated[int, Field(description="Of its record in the partition of ops.events.")]
    index: Annotated[int, Field(description="In the record's array; 0 where the record is one event.")]
    received_at: Annotated[Moment, Field(description="When its record was appended to the log.")]
    incident_id: int | None


PLACED_EVENT: Final[dict[str, Any]] = {
    "id": "01926f8e-5a1c-7c3e-9d0b-5f2f3c1f7a11",
    "level": "ERROR",
    "message": "connection pool exhausted: 50 of 50 in use",
    "timestamp": "2026-11-20T09:15:42.120000Z",
    "attributes": {"region": "eu-1"},
    "partition": 2,
    "offset": 4711,
    "index": 0,
    "received_at": "2026-11-20T09:15:42.481000Z",
    "incident_id": 1,
}


def router(database: Database) -> APIRouter:
    """The routes about one service."""
    routes = APIRouter(prefix="/api/v1/services", tags=["services"])

    @routes.get(
        "/{service:path}/events",
        response_model=list[PlacedEventAnswer],
        summary="Events of one service with their places in the log",
        responses={200: shown([PLACED_EVENT], "A bare array, newest first by event time.")}
        | problems(
            status_404="No event of service checkout is known",
            status_422="limit: Input should be less than or equal to 1000",
        )
        | AWAY,
    )
    async def service_events(
        request: Request,
        service: Annotated[str, Path(examples=["user-service"])],
        part: Annotated[Page, Depends(page)],
        since: Annotated[MomentAsked, Query(description="At or after this time (RFC 3339 with offset).")] = None,
        until: Annotated[MomentAsked, Query(description="Before this time.")] = None,
    ) -> Response:
        """What the detection sees of a service; an id that came twice is listed once."""
        name = clean(service)
        bounds = [
            *([col(EventRow.event_time) >= since] if since else []),
            *([col(EventRow.event_time) < until] if until else []),
        ]
        async with database.session() as session:
            of_service = col(EventRow.service) == name
            found = await queries.events(session, EventFilter((of_service, *bounds), None), part)
            any_event = EventFilter((of_service,), None)
            if not found.rows and not (await queries.events(session, any_event, Page(0, 1))).rows:
                raise Problem(404, f"No event of service {name} is known")
        link = links(request, part, queries.rows_of(found), queries.EVENT_ORDER)
        return list_response([placed_event_view(*seen) for seen in found.rows], {"Link": link})

    return routes
