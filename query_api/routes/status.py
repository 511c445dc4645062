"""Changing the status of one incident."""

from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from query_api.answers import CHANGED, StatusAnswer, problems, shown
from query_api.database import Database
from query_api.etag import etag
from query_api.publisher import Publisher
from query_api.routes.common import (
    AWAY,
    CHANGED_SINCE,
    NOT_FOUND,
    NOTE_SCHEMA,
    ActorHeader,
    IfMatchHeader,
    IncidentId,
    actor,
    json_body,
    note_of,
)
from query_api.status_change import WantedChange, make_change
from runtime.problem import Problem
from schemas.lifecycle import STATUSES, Status
from schemas.verdict import VERDICTS, Verdict


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
        if_match: IfMatchHeader = None,
    ) -> Response:
        """Steps may be skipped forwards; `resolved` may be reopened; `closed` is final."""
        body = await json_body(request)
        wanted, note = requested(body)
        change = WantedChange(wanted, note, actor(x_actor), if_match, verdict=verdict_in(body))
        row = await make_change(database, publisher, incident_id, change)
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
    status: Status = body["status"]
    return status, note_of(body)


def verdict_in(body: dict[str, Any]) -> Verdict | None:
    """The verdict of a request's body, if it has one.

    Raises:
        Problem: 422 where it is none.
    """
    verdict: Verdict | None = body.get("verdict")
    if verdict is None:
        return None
    if verdict not in VERDICTS:
        raise Problem(422, f"verdict: expected one of {', '.join(VERDICTS)}")
    return verdict


STATUS_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["status"],
    "properties": {
        "status": {"type": "string", "enum": list(STATUSES)},
        "note": NOTE_SCHEMA,
        "verdict": {"type": ["string", "null"], "enum": [*VERDICTS, None]},
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
    status_412=CHANGED_SINCE,
    status_422="note: expected a string of at most 4000 characters",
    status_413="The body is larger than 65536 bytes",
)
