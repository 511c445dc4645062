"""Correcting an analysis: a record in Kafka first, then the view, which every rebuild makes again from the topic."""

from collections.abc import Sequence
from typing import Any, Final, TypeVar

import msgspec
import structlog
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from sqlmodel.ext.asyncio.session import AsyncSession

from query_api import queries
from query_api.answers import CORRECTED, CorrectAnswer, problems, shown
from query_api.corrections import INSERT_CORRECTIONS, SHOW_CORRECTIONS, correction_values
from query_api.database import Database, DatabaseAway, driver_execute, execute
from query_api.etag import etag
from query_api.materializer.rows import as_json
from query_api.materializer.statements import NOTIFY, WRITER_LOCK
from query_api.models import AnalysisRow, CorrectionRow, IncidentRow
from query_api.publisher import Publisher
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
from runtime.problem import Problem
from schemas.analysis import CATEGORIES, SEVERITIES, Category, Severity
from schemas.correction import Correction
from schemas.identity import uuid7
from schemas.timestamps import now_micros
from schemas.topics import CORRECTIONS

log = structlog.get_logger(__name__)

_ONE_AT_A_TIME: Final = "SELECT pg_advisory_xact_lock(1869640547, :id)"  # "ops" and "c", then the incident
_LOG_CHANGE: Final = "INSERT INTO changes (incident_id, kind) VALUES (:id, 'corrected')"

Value = TypeVar("Value", bound=str)


class Wanted(msgspec.Struct, frozen=True):
    """What a request asks for; a field that it does not name is UNSET and stays, None takes a correction back."""

    category: Category | msgspec.UnsetType | None = msgspec.UNSET
    severity: Severity | msgspec.UnsetType | None = msgspec.UNSET
    note: str | None = None


def router(database: Database, publisher: Publisher) -> APIRouter:
    """The route that corrects an analysis."""
    routes = APIRouter(prefix="/api/v1/incidents", tags=["incidents"])

    @routes.patch(
        "/{incident_id}/analysis",
        response_model=CorrectAnswer,
        summary="Correct category and severity",
        openapi_extra={"requestBody": _REQUEST},
        responses={200: shown(CORRECTED, "Made, and kept by Kafka.")} | _PROBLEMS | NOT_FOUND | AWAY,
    )
    async def correct(
        incident_id: IncidentId,
        request: Request,
        x_actor: ActorHeader = None,
        if_match: IfMatchHeader = None,
    ) -> Response:
        """Kept beside the analysis; a later analysis does not change it, `null` takes it back."""
        wanted = requested(await json_body(request))
        return await _Correcting(database, publisher, incident_id).make(wanted, actor(x_actor), if_match)

    return routes


def requested(body: Any) -> Wanted:
    """What a request's body asks for.

    Raises:
        Problem: 400 where it corrects nothing, 422 for a value that is none.
    """
    if not isinstance(body, dict) or not ({"category", "severity"} & body.keys()):
        raise Problem(400, "category or severity is required in the request body")
    note = note_of(body)
    return Wanted(_chosen(body, "category", CATEGORIES), _chosen(body, "severity", SEVERITIES), note)


def _chosen(body: dict[str, Any], name: str, values: Sequence[Value]) -> Value | msgspec.UnsetType | None:
    if name not in body:
        return msgspec.UNSET
    found = body[name]
    for value in values:
        if found == value:
            return value
    if found is not None:
        raise Problem(422, f"{name}: expected null or one of: {', '.join(values)}")
    return None


class _Correcting:
    """One correction on its way."""

    def __init__(self, database: Database, publisher: Publisher, incident_id: int) -> None:
        self._database = database
        self._publisher = publisher
        self._id = incident_id
        self._published: Correction | None = None

    async def make(self, wanted: Wanted, by: str, if_match: str | None) -> Response:
        try:
            async with self._database.session() as session:
                return await self._make(session, wanted, by, if_match)
        except DatabaseAway as away:
            if self._published is None:
                raise
            # Kafka has it: the view follows by itself.
            log.warning("correction_not_shown_yet", incident=self._id, why=str(away))
            return JSONResponse(_answer(self._id, self._published, None))

    async def _make(self, session: AsyncSession, wanted: Wanted, by: str, if_match: str | None) -> Response:
        await execute(session, _ONE_AT_A_TIME, id=max(0, min(self._id, queries.MAX_ID)))
        row = await active_record(session, self._id)
        check_tag(row, if_match)
        made = _made(row, await queries.correction(session, row.key), wanted, by)
        await self._publisher.publish(CORRECTIONS, row.partition, made.change_id, made)
        self._published = made
        await _show(session, row, made)
        await session.refresh(row)
        analysis = await queries.analysis(session, row.key)
        return JSONResponse(_answer(self._id, made, analysis), headers={"ETag": etag(row)})


def _made(row: IncidentRow, before: CorrectionRow | None, wanted: Wanted, by: str) -> Correction:
    """The whole correction: a field that was not asked about stays as the one before has it."""
    category, severity = (before.category, before.severity) if before else (None, None)
    return msgspec.convert(
        {
            "change_id": uuid7(),
            "incident_key": row.key,
            "actor": by,
            "at": now_micros(),
            "category": category if wanted.category is msgspec.UNSET else wanted.category,
            "severity": severity if wanted.severity is msgspec.UNSET else wanted.severity,
            "note": wanted.note,
        },
        Correction,
    )


async def _show(session: AsyncSession, row: IncidentRow, correction: Correction) -> None:
    await execute(session, WRITER_LOCK)
    await driver_execute(session, INSERT_CORRECTIONS, as_json([correction_values(correction)]))
    await driver_execute(session, SHOW_CORRECTIONS, [row.key])
    await execute(session, _LOG_CHANGE, id=row.id)
    await execute(session, NOTIFY)


def _answer(incident_id: int, correction: Correction, analysis: AnalysisRow | None) -> dict[str, Any]:
    return {
        "message": "Analysis corrected successfully",
        "incident_id": incident_id,
        "category": correction.category or (analysis.category if analysis else None),
        "severity": correction.severity or (analysis.severity if analysis else None),
    }


_REQUEST: Final[dict[str, Any]] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "anyOf": [{"required": ["category"]}, {"required": ["severity"]}],
                "properties": {
                    "category": {"type": ["string", "null"], "enum": [*CATEGORIES, None]},
                    "severity": {"type": ["string", "null"], "enum": [*SEVERITIES, None]},
                    "note": NOTE_SCHEMA,
                },
            },
            "example": {"category": "network_issue", "severity": "P2", "note": "The switch in rack 4 dropped packets."},
        }
    },
}
_PROBLEMS: Final = problems(
    status_400="category or severity is required in the request body",
    status_409="The incident was merged into 7; work on that one instead",
    status_412=CHANGED_SINCE,
    status_413="The body is larger than 65536 bytes",
    status_422="severity: expected null or one of: P1, P2, P3",
)
