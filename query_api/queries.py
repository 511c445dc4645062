"""What the routes ask of the view."""

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, and_, func
from sqlalchemy.orm import defer
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from query_api.filters import EventFilter, IncidentFilter, sort_columns
from query_api.models import AnalysisRow, CorrectionRow, EventRow, IncidentEventRow, IncidentRow
from query_api.paging import Columns, Cursor, Page, Part, beyond, in_order, parse_cursor, part_of
from query_api.totals import Totals, first_of_page

MAX_ID: Final = 2**31 - 1

_DETAILS: Final[Columns] = (IncidentRow.samples, IncidentRow.timeline, IncidentRow.minutes, IncidentRow.reason)

_SHALLOW: Final = 500
"""To skip so many costs less than to find out where to begin."""


class SeenEvent(NamedTuple):
    """An event, and the incident that took it in."""

    row: EventRow
    incident_id: int | None


async def incidents(
    session: AsyncSession, totals: Totals, wanted: IncidentFilter, page: Page
) -> tuple[Part[IncidentRow], int]:
    """One page of incidents and how many there are in all.

    Raises:
        Problem: 422 where the page's cursor is none of this list.
    """
    columns = sort_columns(wanted.sort)
    cursor = parse_cursor(page.cursor, columns) if page.cursor else None
    if cursor:
        statement = (
            _listed()
            .where(*wanted.conditions, beyond(columns, cursor, descending=wanted.descending))
            .order_by(*in_order(columns, descending=wanted.descending != cursor.backwards))
            .limit(page.limit + 1)
        )
        rows = (await session.exec(statement)).all()
        return part_of(rows, page, cursor), await totals.total(session, wanted)
    if page.skip == 0:
        part = part_of(await _rows(session, wanted, _Stretch(0, page.limit + 1, wanted.descending)), page, None)
        return part, await totals.total(session, wanted) if part.after else len(part.rows)
    total = await totals.total(session, wanted)
    return part_of(await _skipped_to(session, wanted, page, total), page, None), total


async def _skipped_to(session: AsyncSession, wanted: IncidentFilter, page: Page, total: int) -> Sequence[IncidentRow]:
    """The rows after the first `skip`, and one more than the page holds; the way there is short, however deep."""
    count, left = page.limit + 1, total - page.skip
    if page.skip > _SHALLOW and wanted.sort in ("created_at", "-created_at") and wanted.is_counted_by_day:
        begin, skip = await first_of_page(session, wanted, page.skip)
        return await _rows(session, wanted, _Stretch(skip, count, wanted.descending), begin)
    if page.skip <= max(_SHALLOW, total // 2):
        return await _rows(session, wanted, _Stretch(page.skip, count, wanted.descending))
    if left <= 0:
        return []
    stretch = _Stretch(max(0, left - count), min(left, count), not wanted.descending)
    return (await _rows(session, wanted, stretch))[::-1]


class _Stretch(NamedTuple):
    """`size` rows after the first `skip`."""

    skip: int
    size: int
    descending: bool


async def _rows(
    session: AsyncSession, wanted: IncidentFilter, stretch: _Stretch, *begin: ColumnElement[bool]
) -> Sequence[IncidentRow]:
    # Only the ids of what is skipped are read: they stand in the index.
    order = in_order(sort_columns(wanted.sort), descending=stretch.descending)
    ids = select(IncidentRow.id).where(*wanted.conditions, *begin).order_by(*order)
    stretched = ids.offset(stretch.skip).limit(stretch.size)
    return (await session.exec(_listed().where(col(IncidentRow.id).in_(stretched)).order_by(*order))).all()


def _listed() -> SelectOfScalar[IncidentRow]:
    """Incidents without what only their details show: to read a hundred timelines takes longer than to find them."""
    return select(IncidentRow).options(*(defer(column, raiseload=True) for column in _DETAILS))


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


_EVENT_ORDER: Final = ("event_time", "partition", "record_offset", "idx")
EVENT_ORDER: Final[Columns] = tuple(col(getattr(EventRow, name)) for name in _EVENT_ORDER)
"""What events are ordered by, newest first; the place in the log decides between equals."""

_LINK_ORDER: Final[Columns] = tuple(col(getattr(IncidentEventRow, name)) for name in _EVENT_ORDER)


async def events(session: AsyncSession, wanted: EventFilter, page: Page) -> Part[SeenEvent]:
    """One page of events, newest first.

    Raises:
        Problem: 422 where the page's cursor is none of this list.
    """
    cursor = parse_cursor(page.cursor, EVENT_ORDER) if page.cursor else None
    if wanted.incident_id is not None:
        found = await incident(session, wanted.incident_id)
        return (
            await events_of(session, found, page, wanted.conditions) if found else Part([], before=False, after=False)
        )
    places = _stretch(_select(*EVENT_ORDER, EventRow.received_at).where(*wanted.conditions), EVENT_ORDER, page, cursor)
    statement = _with_incident().join(
        places, _same_place(EventRow, places.c) & (col(EventRow.received_at) == places.c.received_at)
    )
    return part_of(await _seen(session, _in_order(statement, cursor)), page, cursor)


def rows_of(part: Part[SeenEvent]) -> Part[EventRow]:
    """The events of a page without their incidents."""
    return Part([seen.row for seen in part.rows], part.before, part.after)


async def events_of(
    session: AsyncSession, of: IncidentRow, page: Page, conditions: Sequence[ColumnElement[bool]] = ()
) -> Part[SeenEvent]:
    """One page of the events that an incident took in, newest first."""
    link = IncidentEventRow
    cursor = parse_cursor(page.cursor, _LINK_ORDER) if page.cursor else None
    links = _select(*_LINK_ORDER).where(col(link.incident_key) == of.key)
    if conditions:
        links = links.join(EventRow, _same_place(EventRow, link)).where(*conditions)
    places = _stretch(links, _LINK_ORDER, page, cursor)
    statement = select(EventRow).join(places, _same_place(EventRow, places.c))
    rows = (await session.exec(_in_order(statement, cursor))).all()
    return part_of([SeenEvent(row, of.id) for row in rows], page, cursor)


def _select(*columns: Any) -> Any:
    """SQLModel types up to four columns only."""
    return select(*columns)


def _stretch(statement: Any, columns: Columns, page: Page, cursor: Cursor | None) -> Any:
    """The places of one page and one more: only the index is read for what is skipped."""
    if cursor:
        statement = statement.where(beyond(columns, cursor, descending=True))
    order = in_order(columns, descending=cursor is None or not cursor.backwards)
    return statement.order_by(*order).offset(0 if cursor else page.skip).limit(page.limit + 1).subquery()


def _in_order(statement: Any, cursor: Cursor | None) -> Any:
    return statement.order_by(*in_order(EVENT_ORDER, descending=cursor is None or not cursor.backwards))


async def event(session: AsyncSession, event_id: str) -> SeenEvent | None:
    """The newest event with this id; ids are unique within a service only."""
    statement = _in_order(_with_incident().where(col(EventRow.id) == event_id), None).limit(1)
    found = await _seen(session, statement)
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


async def _seen(session: AsyncSession, statement: Any) -> list[SeenEvent]:
    return [SeenEvent(row, incident_id) for row, incident_id in (await session.exec(statement)).all()]


def _same_place(one: Any, other: Any) -> ColumnElement[bool]:
    return and_(*(getattr(one, name) == getattr(other, name) for name in ("partition", "record_offset", "idx")))
