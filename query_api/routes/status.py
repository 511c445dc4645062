"""Changing an incident's status: a record in Kafka first, then what the view shows until the processor confirms it."""

from typing import Any, Final, cast

import structlog
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from sqlmodel.ext.asyncio.session import AsyncSession

from query_api.answers import CHANGED, StatusAnswer, problems, shown
from query_api.database import Database, DatabaseAway, execute
from query_api.etag import etag
from query_api.materializer.statements import NOTIFY, WRITER_LOCK
from query_api.models import IncidentRow
from query_api.publisher import Publisher
from query_api.queries import MAX_ID
from query_api.routes.common import (
    AWAY,
    CHANGED_SINCE,
    NOT_FOUND,
    NOTE_SCHEMA,
    ActorHeader,
    IfMatchHeader,
    IncidentId,
    active_record,
    actor,
    check_tag,
    json_body,
    note_of,
)
from query_api.views import verdict_of
from runtime.problem import Problem
from schemas.identity import uuid7
from schemas.lifecycle import STATUSES, Status, is_allowed, refusal
from schemas.status_change import StatusChange
from schemas.timestamps import now_micros
from schemas.topics import INCIDENT_STATUS
from schemas.verdict import GIVEN_WITH, VERDICTS, Verdict

log = structlog.get_logger(__name__)

_ONE_AT_A_TIME: Final = "SELECT pg_advisory_xact_lock(1869640563, :id)"  # "ops" and "s", then the incident

# Not where the record that confirms it was quicker than this statement.
_MARK: Final = """
    WITH marked AS (
        UPDATE incidents SET pending_status = :status, pending_change_id = :change_id
        WHERE id = :id AND NOT timeline @> jsonb_build_array(jsonb_build_object('change_id', CAST(:change_id AS text)))
        RETURNING id
    )
    INSERT INTO changes (incident_id, kind) SELECT id, 'status' FROM marked
"""


def router(database: Database, publisher: Publisher) -> APIRouter:
    """The route that changes a status."""
    routes = APIRouter(prefix="/api/v1/incidents", tags=["incidents"])

    @routes.patch(
        "/{incident_id}/status",
        response_model=StatusAnswer,
        summary="Change the status",
        openapi_extra={"requestBody": _REQUEST},
        responses={200: shown(CHANGED, "Made, and kept by Kafka; setting the present status changes nothing.")}
        | _PROBLEMS
        | NOT_FOUND
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
        change = _Change(wanted, note, actor(x_actor), if_match, verdict_in(body, wanted))
        row = await _change(database, publisher, incident_id, change)
        content = {"message": CHANGED["message"], "incident_id": incident_id, "new_status": wanted}
        return JSONResponse(content, headers={"ETag": etag(row)})

    return routes


class _Change:
    """What a request asks for."""

    def __init__(
        self, status: Status, note: str | None, by: str, if_match: str | None, verdict: Verdict | None = None
    ) -> None:
        self.status, self.note, self.by, self.if_match, self.verdict = status, note, by, if_match, verdict
        self.id = uuid7()

    def is_news(self, row: IncidentRow) -> bool:
        """Whether it changes anything."""
        return row.status != self.status or self.verdict not in (None, verdict_of(row.timeline))


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


def verdict_in(body: dict[str, Any], status: Status) -> Verdict | None:
    """The verdict of a request's body, if it has one.

    Raises:
        Problem: 422 where it is none, or `status` is that of work that goes on.
    """
    verdict: Verdict | None = body.get("verdict")
    if verdict is None:
        return None
    if verdict not in VERDICTS:
        raise Problem(422, f"verdict: expected one of {', '.join(VERDICTS)}")
    if status not in GIVEN_WITH:
        raise Problem(422, "verdict: is given when an incident is resolved or closed")
    return verdict


async def _change(database: Database, publisher: Publisher, incident_id: int, change: _Change) -> IncidentRow:
    published: IncidentRow | None = None
    try:
        async with database.session() as session:
            await execute(session, _ONE_AT_A_TIME, id=max(0, min(incident_id, MAX_ID)))
            row = await active_record(session, incident_id)
            _check(row, change)
            if change.is_news(row):
                await publisher.publish(INCIDENT_STATUS, row.partition, row.service, _record(row, change))
                published = row
                await _mark(session, row, change)
    except DatabaseAway as away:
        if published is None:
            raise
        # Kafka has it and the processor will apply it: the view follows by itself.
        log.warning("status_change_not_marked", incident=incident_id, why=str(away))
        row = published
    return row


def _check(row: IncidentRow, change: _Change) -> None:
    check_tag(row, change.if_match)
    present = cast("Status", row.status)  # the records that brought it were checked when they were decoded
    if not is_allowed(present, change.status):
        raise Problem(409, refusal(present, change.status))


def _record(row: IncidentRow, change: _Change) -> StatusChange:
    return StatusChange(
        change_id=change.id,
        incident_key=row.key,
        service=row.service,
        to_status=change.status,
        actor=change.by,
        at=now_micros(),
        note=change.note,
        verdict=change.verdict,
    )


async def _mark(session: AsyncSession, row: IncidentRow, change: _Change) -> None:
    await execute(session, WRITER_LOCK)
    await execute(session, _MARK, id=row.id, status=change.status, change_id=change.id)
    await execute(session, NOTIFY)
    session.expunge(row)
    row.status, row.pending_change_id = change.status, change.id


_REQUEST: Final[dict[str, Any]] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["status"],
                "properties": {
                    "status": {"type": "string", "enum": list(STATUSES)},
                    "note": NOTE_SCHEMA,
                    "verdict": {"type": ["string", "null"], "enum": [*VERDICTS, None]},
                },
            },
            "example": {"status": "investigating", "note": "looking at the pool"},
        }
    },
}
_PROBLEMS: Final = problems(
    status_400="Status is required in request body",
    status_409="The incident is closed, which is final; open a new one instead",
    status_412=CHANGED_SINCE,
    status_413="The body is larger than 65536 bytes",
)
