"""Past incidents that were like one, or like some messages, and what resolved them."""

from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Query, Request, Response
from msgspec import Meta
from msgspec.json import encode

from query_api import queries
from query_api.answers import SIMILAR, SimilarAnswer, problems, shown
from query_api.database import Database
from query_api.routes.common import AWAY, NOT_FOUND, IncidentId, found_incident, json_body, refuse_reading, whole
from query_api.similarity.search import similar
from query_api.similarity.terms import MAX_TEXTS, terms_of
from query_api.text import clean
from runtime.problem import Problem

MAX_LISTED: Final = 20
_LISTED: Final = 5
_MAX_TEXT: Final = 32_768

Limit = Annotated[int, Query(ge=1, le=MAX_LISTED, description="How many at most.")]


class Wanted(msgspec.Struct, frozen=True):
    """What a request describes."""

    texts: Annotated[list[Annotated[str, Meta(max_length=_MAX_TEXT)]], Meta(min_length=1, max_length=MAX_TEXTS)]
    service: Annotated[str, Meta(max_length=100)] = ""
    exclude: Annotated[str, Meta(max_length=100)] = ""
    limit: Annotated[int, Meta(ge=1, le=MAX_LISTED)] = _LISTED


def router(database: Database) -> APIRouter:
    """The routes that find similar incidents."""
    routes = APIRouter(prefix="/api/v1/incidents", tags=["incidents"])
    found = {200: shown(SIMILAR, "Ended incidents, the most similar first, and how they were found.")}

    @routes.get(
        "/{incident_id}/similar",
        response_model=SimilarAnswer,
        summary="Similar past incidents",
        responses=found | NOT_FOUND | AWAY,
    )
    async def similar_to_incident(incident_id: IncidentId, limit: Limit = _LISTED) -> Response:
        """By the messages that its analysis quotes; none before it has one."""
        async with database.session() as session:
            row = await found_incident(session, incident_id)
            analysis = await queries.analysis(session, row.key)
            terms = terms_of(quote["quote"] for quote in analysis.evidence) if analysis else None
            return _answer(await similar(session, terms, row.service, row.key, limit))

    @routes.post(
        "/similar",
        response_model=SimilarAnswer,
        summary="Past incidents with similar messages",
        openapi_extra={"requestBody": _REQUEST},
        responses=found | _PROBLEMS | AWAY,
    )
    async def similar_to_messages(request: Request) -> Response:
        """For messages at hand, as a line of a log."""
        wanted = requested(await json_body(request))
        async with database.session() as session:
            terms = terms_of(wanted.texts)
            return _answer(await similar(session, terms, clean(wanted.service), clean(wanted.exclude), wanted.limit))

    refuse_reading(routes, "/similar", Problem(405, "Messages are sent here, with POST", headers={"Allow": "POST"}))
    return routes


def requested(body: Any) -> Wanted:
    """What a body describes.

    Raises:
        Problem: 422 where it is not in the form that the documentation gives.
    """
    try:
        limited = isinstance(body, dict) and "limit" in body
        return msgspec.convert(body | {"limit": whole(body["limit"])} if limited else body, Wanted)
    except msgspec.ValidationError as error:
        raise Problem(422, f"{error}: give texts, and optionally service, exclude (a key) and limit") from error


def _answer(found: Any) -> Response:
    return Response(encode(found), media_type="application/json")


_PROBLEMS: Final = problems(
    status_400="The body is not JSON: JSON is malformed: invalid character (byte 0)",
    status_413="The body is larger than 65536 bytes",
    status_422="Expected `array` of length >= 1 - at `$.texts`",
)
_NAME: Final = {"type": "string", "maxLength": 100}
_REQUEST: Final[dict[str, Any]] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["texts"],
                "properties": {
                    "texts": {
                        "type": "array",
                        "minItems": 1,
                        "maxItems": MAX_TEXTS,
                        "items": {"type": "string", "maxLength": _MAX_TEXT},
                        "description": "Messages of events.",
                    },
                    "service": _NAME | {"description": "Its incidents rank a little higher."},
                    "exclude": _NAME | {"description": "The key of an incident to leave out."},
                    "limit": {"type": "integer", "minimum": 1, "maximum": MAX_LISTED, "default": _LISTED},
                },
            },
            "example": {"texts": ["connection pool exhausted: 50 of 50 in use"], "service": "user-service"},
        }
    },
}
