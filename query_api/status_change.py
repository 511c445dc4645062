"""A status change: a record in Kafka first, then what the view shows until the processor confirms it."""

from dataclasses import dataclass, field
from typing import Final, cast

import structlog
from sqlmodel.ext.asyncio.session import AsyncSession

from query_api.database import Database, DatabaseAway, execute
from query_api.materializer.statements import NOTIFY, WRITER_LOCK
from query_api.models import IncidentRow
from query_api.publisher import Publisher
from query_api.queries import MAX_ID
from query_api.routes.common import active_record, check_tag
from query_api.views import verdict_of
from runtime.problem import Problem
from schemas.identity import uuid7
from schemas.lifecycle import Status, is_allowed, refusal
from schemas.status_change import StatusChange
from schemas.timestamps import now_micros
from schemas.topics import INCIDENT_STATUS
from schemas.verdict import Verdict

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


@dataclass(frozen=True)
class WantedChange:
    """What a request asks for; `if_match` and `seen` are the ETag and the status that it is based on."""

    status: Status
    note: str | None
    by: str
    if_match: str | None = None
    seen: Status | None = None
    verdict: Verdict | None = None
    id: str = field(default_factory=uuid7)

    def is_news(self, row: IncidentRow) -> bool:
        """Whether it changes anything."""
        return row.status != self.status or self.verdict not in (None, verdict_of(row.timeline))


async def make_change(database: Database, publisher: Publisher, incident_id: int, change: WantedChange) -> IncidentRow:
    """Check the change under a lock of its incident, write it to Kafka and show it; gives the incident as it is then.

    Raises:
        Problem: 404, 409 or 412; nothing was changed.
        BrokerAway, DatabaseAway: nothing was changed.
    """
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


def _check(row: IncidentRow, change: WantedChange) -> None:
    check_tag(row, change.if_match)
    if change.seen is not None and row.status != change.seen:
        raise Problem(412, f"The incident is {row.status} by now; it was {change.seen} when you chose it")
    present = cast("Status", row.status)  # the records that brought it were checked when they were decoded
    if not is_allowed(present, change.status):
        raise Problem(409, refusal(present, change.status))


def _record(row: IncidentRow, change: WantedChange) -> StatusChange:
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


async def _mark(session: AsyncSession, row: IncidentRow, change: WantedChange) -> None:
    await execute(session, WRITER_LOCK)
    await execute(session, _MARK, id=row.id, status=change.status, change_id=change.id)
    await execute(session, NOTIFY)
    session.expunge(row)
    row.status, row.pending_change_id = change.status, change.id
