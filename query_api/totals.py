"""How many incidents match: from counts that the database keeps, so that a total costs the same whatever there is.

Exact always, with one exception: a text search that finds more than 10,000 may be up to half a minute old.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, func, literal
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from query_api.database import execute
from query_api.filters import IncidentFilter
from query_api.models import IncidentCountRow, IncidentDayRow, IncidentRow

_LARGE: Final = 10_000
_KEPT_SECONDS: Final = 30.0
_KEPT: Final = 256
_ONE_CORE: Final = "SET LOCAL max_parallel_workers_per_gather = 0"
"""For what takes long to count: the cores that it leaves are for those who ask meanwhile."""

_ALL_SERVICES: Final = ""
_DAY: Final = timedelta(days=1)


class Totals:
    """The totals of one process; remembers for a while those that are dear to count."""

    def __init__(self) -> None:
        self._kept: OrderedDict[IncidentFilter, tuple[float, int]] = OrderedDict()
        self._counting: dict[IncidentFilter, asyncio.Lock] = {}

    async def total(self, session: AsyncSession, wanted: IncidentFilter) -> int:
        """How many incidents match."""
        if wanted.q is None:
            return await counted(session, wanted)
        lock = self._counting.setdefault(wanted, asyncio.Lock())
        try:
            async with lock:  # those who ask the same at once wait for one count
                return await self._searched(session, wanted)
        finally:
            if not lock.locked():
                self._counting.pop(wanted, None)

    async def _searched(self, session: AsyncSession, wanted: IncidentFilter) -> int:
        known = self._kept.get(wanted)
        if known and known[0] > time.monotonic():
            return known[1]
        await execute(session, _ONE_CORE)
        total = await _count(session, wanted.conditions)
        if total > _LARGE:
            self._kept[wanted] = (time.monotonic() + _KEPT_SECONDS, total)
            self._kept.move_to_end(wanted)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return total


async def counted(session: AsyncSession, wanted: IncidentFilter) -> int:
    """How many match a filter without a text."""
    if wanted.shadow:  # few are
        return await _count(session, wanted.conditions)
    if wanted.corrected is False:  # few are corrected: those are counted
        every, some = replace(wanted, corrected=None), replace(wanted, corrected=True)
        return await counted(session, every) - await counted(session, some)
    if wanted.corrected:
        return await _count(session, wanted.conditions)
    if wanted.is_counted:
        return await _sum(session, IncidentCountRow, wanted, col(IncidentCountRow.service) == _service(wanted))
    if wanted.service is not None:
        return await _count(session, wanted.conditions)
    return await _between(session, wanted)


async def _between(session: AsyncSession, wanted: IncidentFilter) -> int:
    """Whole days from the counts, what is left of the first and the last day from its incidents."""
    first = _midnight_after(wanted.since) if wanted.since else None
    last = _midnight_before(wanted.until) if wanted.until else None
    if first and last and first >= last:
        return await _count(session, wanted.conditions)
    day, opened = col(IncidentDayRow.day), col(IncidentRow.created_at)
    within = [day >= first.date()] if first else []
    within += [day < last.date()] if last else []
    total = await _sum(session, IncidentDayRow, wanted, *within)
    if first:
        total += await _count(session, (*replace(wanted, until=None).conditions, opened < first))
    if last:
        total += await _count(session, (*replace(wanted, since=None).conditions, opened >= last))
    return total


async def by_status_and_severity(session: AsyncSession, wanted: IncidentFilter) -> list[tuple[str, str, int]]:
    """How many match of each status and severity; those without any are left out."""
    row: Any = IncidentCountRow if wanted.is_counted else IncidentRow
    kinds = (col(row.status), col(row.severity))
    if wanted.is_counted:
        narrowed = (*_kind(row, wanted), col(row.service) == _service(wanted))
        statement = select(*kinds, func.sum(col(row.incidents))).where(*narrowed)
    else:
        statement = select(*kinds, func.count()).where(*wanted.conditions)
    found = (await session.exec(statement.group_by(*kinds))).all()
    return [(status, severity, int(count)) for status, severity, count in found if count]


async def first_of_page(session: AsyncSession, wanted: IncidentFilter, skip: int) -> tuple[ColumnElement[bool], int]:
    """Where a deep page of the order by `created_at` begins: a day to begin at, and how many to skip from there.

    Args:
        session: to read in.
        wanted: a filter that `is_counted_by_day`, ordered by `created_at`.
        skip: how many of the list to skip.
    """
    newest_first = wanted.descending
    outside = IncidentFilter(
        status=wanted.status, severity=wanted.severity, category=wanted.category, sort=wanted.sort,
        since=wanted.until if newest_first else None, until=None if newest_first else wanted.since,
    )  # fmt: skip
    if outside.since or outside.until:  # those are passed before the list begins
        skip += await counted(session, outside)
    found = await _day_of(session, wanted, skip)
    if found is None:
        return literal(value=False), 0
    day, before = found
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    opened = col(IncidentRow.created_at)
    return opened < start + _DAY if newest_first else opened >= start, skip - before


async def _day_of(session: AsyncSession, wanted: IncidentFilter, skip: int) -> tuple[date, int] | None:
    """The day on which the incident at place `skip` opened, and how many come before that day."""
    day, number = col(IncidentDayRow.day), func.sum(col(IncidentDayRow.incidents))
    days = select(day.label("day"), number.label("n")).where(*_kind(IncidentDayRow, wanted)).group_by(day).subquery()

    def ordered(column: Any) -> Any:
        return column.desc() if wanted.descending else column.asc()

    reached = func.sum(days.c.n).over(order_by=ordered(days.c.day))
    sums = select(days.c.day, days.c.n, reached.label("reached")).subquery()
    place = select(sums.c.day, sums.c.reached - sums.c.n).where(sums.c.reached > skip)
    found = (await session.exec(place.order_by(ordered(sums.c.day)).limit(1))).first()
    return (found[0], int(found[1])) if found else None


async def _count(session: AsyncSession, conditions: Sequence[ColumnElement[bool]]) -> int:
    return (await session.exec(select(func.count()).select_from(IncidentRow).where(*conditions))).one()


async def _sum(session: AsyncSession, row: Any, wanted: IncidentFilter, *more: ColumnElement[bool]) -> int:
    total = select(func.coalesce(func.sum(col(row.incidents)), 0)).where(*_kind(row, wanted), *more)
    return int((await session.exec(total)).one())


def _kind(row: Any, wanted: IncidentFilter) -> list[ColumnElement[bool]]:
    values = {"status": wanted.status, "severity": wanted.severity, "category": wanted.category}
    return [col(getattr(row, name)) == value for name, value in values.items() if value is not None]


def _service(wanted: IncidentFilter) -> str:
    return _ALL_SERVICES if wanted.service is None else wanted.service


def _midnight_before(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _midnight_after(moment: datetime) -> datetime:
    midnight = _midnight_before(moment)
    return midnight if midnight == moment else midnight + _DAY
