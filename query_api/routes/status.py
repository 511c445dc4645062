"""Changing the status of one incident."""

from typing import Annotated, Any, Final

import structlog
from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import JSONResponse

from query_api.answers import CHANGED, StatusAnswer, problems, shown
from query_api.database import Database
from query_api.etag import etag
from query_api.publisher import Publisher
from query_api.routes.common import AWAY, NOT_FOUND, ActorHeader, IncidentId, actor, json_body
from query_api.status_change import WantedChange, make_change
from query_api.text import clean
from runtime.problem import Problem
from schemas.lifecycle import STATUSES, Status

log = structlog.get_logger(__name__)

MAX_NOTE: Final = 4_000


def router(database: Database, publisher: Publisher) -> APIRouter:
    """The route that changes a status."""
    routes = APIRouter(prefix="/api/v1/incidents", tags=["incidents"])

    @routes.patch(
        "/{incident_id}/status",
        response_model=StatusAnswer,
        summary="Change the status",
        openapi_extra={"requestBody": _REQUEST},
        responses={200: shown(CHANGED, "Made, and kept by Kafka; setting the present status changes nothing.")}
        | NOT_FOUND
        | _PROBLEMS
        | AWAY,
    )
    async def change_status(
        incident_id: IncidentId,
        request: Request,
        x_actor: ActorHeader = None,
        if_match: Annotated[str | None, Header(description="The ETag that the change is based on.")] = None,
    ) -> Response:
        """Steps may be skipped forwards; `resolved` may be reopened; `closed` is final."""
        wanted, note = requested(await json_body(request))
        row = await make_change(database, publisher, incident_id, WantedChange(wanted, note, actor(x_actor), if_match))
        content = {"message": CHANGED["message"], "incident_id": incident_id, "new_status": wanted}
        return JSONResponse(content, headers={"ETag": etag(row)})

    return routes


def requested(body: Any) -> tuple[Status, str | None]:
    """The status and the note of a request's body.

    Raises:
        Problem: 400 in the words that older clients know, 422 for a note that is no text.
    """
    if not isinstance(body, dict) or not body.get("status"):
        raise Problem(400, "Status is required in request body")
    if body["status"] not in STATUSES:
        raise Problem(400, f"Invalid status. Must be one of: {', '.join(STATUSES)}")
    note = body.get("note")
    if note is not None and (not isinstance(note, str) or len(note) > MAX_NOTE):
        raise Problem(422, f"note: expected a string of at most {MAX_NOTE} characters")
    status: Status = body["status"]
    return status, clean(note) if note else None


STATUS_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["status"],
    "properties": {
        "status": {"type": "string", "enum": list(STATUSES)},
        "note": {"type": ["string", "null"], "maxLength": MAX_NOTE},
    },
}
_REQUEST: Final[dict[str, Any]] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": STATUS_SCHEMA,
            "example": {"status": "investigating", "note": "looking at the pool"},
        }
    },
}
_PROBLEMS: Final = problems(
    status_400="Status is required in request body",
    status_409="The incident is closed, which is final; open a new one instead",
    status_412="The incident has changed since you read it; read it again",
    status_422="note: expected a string of at most 4000 characters",
    status_413="The body is larger than 65536 bytes",
)
