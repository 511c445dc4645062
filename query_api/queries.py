"""What the routes ask of the view."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from query_api.filters import EventFilter, IncidentFilter
from query_api.models import AnalysisRow, CorrectionRow, EventRow, IncidentEventRow, IncidentRow
from query_api.paging import Page

MAX_ID: Final = 2**31 - 1

EventInIncident = tuple[EventRow, int | None]


async def incidents(session: AsyncSession, wanted: IncidentFilter, page: Page) -> tuple[Sequence[IncidentRow], int]:
    """One page of incidents and how many there are in all."""
    listed = select(IncidentRow).where(*wanted.conditions).order_by(*wanted.order).offset(page.skip).limit(page.limit)
    counted = select(func.count()).select_from(IncidentRow).where(*wanted.conditions)
    return (await session.exec(listed)).all(), (await session.exec(counted)).one()


async def incident(session: AsyncSession, incident_id: int) -> IncidentRow | None:
    """The incident with this id, merged or not."""
    if not 0 < incident_id <= MAX_ID:
        return None
    return (await session.exec(select(IncidentRow).where(col(IncidentRow.id) == incident_id))).one_or_none()


async def correction(session: AsyncSession, key: str) -> CorrectionRow | None:
    """The newest correction of an incident, if there is one."""
    found = await corrections(session, key)
    return found[-1] if found else None


async def corrections(session: AsyncSession, key: str) -> list[CorrectionRow]:
    """The corrections of an incident, oldest first."""
    wanted = select(CorrectionRow).where(CorrectionRow.incident_key == key)
    return list(await session.exec(wanted.order_by(col(CorrectionRow.at), col(CorrectionRow.change_id))))


async def analysis(session: AsyncSession, key: str) -> AnalysisRow | None:
    """The newest analysis of an incident, if there is one."""
    return (await session.exec(select(AnalysisRow).where(col(AnalysisRow.incident_key) == key))).one_or_none()


async def ids_of(session: AsyncSession, keys: Iterable[str | None]) -> dict[str, int]:
    """The integer ids of some incident keys, as far as the view knows them."""
    wanted = [key for key in keys if key]
    if not wanted:
        return {}
    found = await session.exec(select(IncidentRow.key, IncidentRow.id).where(col(IncidentRow.key).in_(wanted)))
    return dict(found.all())


async def events(session: AsyncSession, wanted: EventFilter, page: Page) -> list[EventInIncident]:
    """One page of events, newest first, and one more where there is a next page."""
    if wanted.incident_id is not None:
        found = await incident(session, wanted.incident_id)
        return await events_of(session, found, page, wanted.conditions) if found else []
    statement = _with_incident().where(*wanted.conditions).order_by(*_newest_first(EventRow))
    return await _pairs(session, statement, page)


async def events_of(
    session: AsyncSession, of: IncidentRow, page: Page, conditions: Sequence[ColumnElement[bool]] = ()
) -> list[EventInIncident]:
    """One page of the events that an incident took in, newest first, and one more where there is a next page."""
    link = IncidentEventRow
    statement = (
        select(EventRow)
        .join(link, _same_place(EventRow, link))
        .where(col(link.incident_key) == of.key, *conditions)
        .order_by(*_newest_first(link))
        .offset(page.skip)
        .limit(page.limit + 1)
    )
    return [(row, of.id) for row in (await session.exec(statement)).all()]


async def event(session: AsyncSession, event_id: str) -> EventInIncident | None:
    """The newest event with this id; ids are unique within a service only."""
    statement = _with_incident().where(col(EventRow.id) == event_id).order_by(*_newest_first(EventRow))
    found = await _pairs(session, statement, Page(0, 1))
    return found[0] if found else None


def _with_incident() -> Any:
    """Events, each with the first of the incidents that took it in: one of each rule may have."""
    link = IncidentEventRow
    first = (
        select(func.min(IncidentRow.id))
        .join(link, col(IncidentRow.key) == col(link.incident_key))
        .where(_same_place(EventRow, link), col(IncidentRow.shadow).is_(False))
        .correlate(EventRow)
        .scalar_subquery()
    )
    return select(EventRow, first)


async def _pairs(session: AsyncSession, statement: Any, page: Page) -> list[EventInIncident]:
    found = await session.exec(statement.offset(page.skip).limit(page.limit + 1))
    return [(row, incident_id) for row, incident_id in found.all()]


def _same_place(one: type[EventRow], other: type[IncidentEventRow]) -> ColumnElement[bool]:
    return (
        (col(one.partition) == col(other.partition))
        & (col(one.record_offset) == col(other.record_offset))
        & (col(one.idx) == col(other.idx))
    )


def _newest_first(row: type[EventRow | IncidentEventRow]) -> tuple[ColumnElement[Any], ...]:
    return tuple(col(column).desc() for column in (row.event_time, row.partition, row.record_offset, row.idx))
