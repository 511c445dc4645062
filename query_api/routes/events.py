"""Reading events."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response
from msgspec.json import encode

from query_api import queries
from query_api.answers import EVENT, EventAnswer, problems, shown
from query_api.database import Database
from query_api.filters import EventFilter, event_filter
from query_api.paging import Page, links, list_response, page
from query_api.routes.common import AWAY
from query_api.text import clean
from query_api.views import event_view
from runtime.problem import Problem


def router(database: Database) -> APIRouter:
    """The routes that read events."""
    routes = APIRouter(prefix="/api/v1/events", tags=["events"])

    @routes.get(
        "",
        response_model=list[EventAnswer],
        summary="List events",
        responses={200: shown([EVENT], "A bare array; the pages are in the Link header.")}
        | problems(status_422="limit: Input should be less than or equal to 1000")
        | AWAY,
    )
    async def list_events(
        request: Request,
        wanted: Annotated[EventFilter, Depends(event_filter)],
        part: Annotated[Page, Depends(page)],
    ) -> Response:
        """Newest first by event time."""
        async with database.session() as session:
            found = await queries.events(session, wanted, part)
        link = links(request, part, queries.rows_of(found), queries.EVENT_ORDER)
        return list_response([event_view(*seen) for seen in found.rows], {"Link": link})

    @routes.get(
        "/{event_id}",
        response_model=EventAnswer,
        summary="One event",
        responses={200: shown(EVENT, "The event.")} | problems(status_404="There is no event with this id") | AWAY,
    )
    async def read_event(event_id: Annotated[str, Path(examples=[EVENT["id"]])]) -> Response:
        """The newest with this id, where services share one."""
        async with database.session() as session:
            found = await queries.event(session, clean(event_id))
        if found is None:
            raise Problem(404, "There is no event with this id")
        return Response(encode(event_view(*found)), media_type="application/json")

    return routes
