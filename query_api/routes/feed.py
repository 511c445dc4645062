"""The newest incidents as a feed."""

from hashlib import blake2b
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, Query, Request, Response

from query_api import queries
from query_api.answers import problems
from query_api.database import Database
from query_api.etag import matches
from query_api.feed import MEDIA_TYPE, atom_feed
from query_api.filters import IncidentFilter, incident_filter
from query_api.paging import Page, own_url
from query_api.routes.common import AWAY
from query_api.totals import Totals

_EXAMPLE: Final = (
    '<?xml version="1.0" encoding="utf-8"?>\n<feed xmlns="http://www.w3.org/2005/Atom"><title>Incidents</title></feed>'
)


_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "RFC 4287.", "content": {MEDIA_TYPE: {"example": _EXAMPLE}}},
    304: {"description": "Nothing has changed since the ETag of If-None-Match."},
}


def router(database: Database) -> APIRouter:
    """The route of the feed."""
    totals = Totals()
    routes = APIRouter(prefix="/api/v1/incidents", tags=["incidents"])

    @routes.get(
        "/feed",
        response_class=Response,
        summary="The newest incidents as an Atom feed",
        responses=_ANSWERS
        | problems(status_422="status_filter: Input should be 'open', 'investigating', 'resolved' or 'closed'")
        | AWAY,
    )
    async def feed(
        request: Request,
        wanted: Annotated[IncidentFilter, Depends(incident_filter)],
        limit: Annotated[int, Query(ge=1, le=200, description="How many incidents to give at most.")] = 50,
        if_none_match: Annotated[str | None, Header(description="The ETag of the feed that you have.")] = None,
    ) -> Response:
        """Under the same filters as the list."""
        async with database.session() as session:
            found, _ = await queries.incidents(session, totals, wanted, Page(0, limit))
        url = own_url(request)
        body = atom_feed(found.rows, str(url), f"{url.scheme}://{url.netloc}")
        tag = f'"{blake2b(body, digest_size=8).hexdigest()}"'
        if if_none_match is not None and matches(if_none_match, tag):
            return Response(status_code=304, headers={"ETag": tag})
        return Response(body, headers={"ETag": tag}, media_type=MEDIA_TYPE)

    return routes
