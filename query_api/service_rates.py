"""What the routes ask of the view about services: which there are, their events by minute, what is active on them."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal

from fastapi import Query
from sqlalchemy import ColumnElement, DateTime, String, func, literal_column, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from query_api.filters import Text
from query_api.models import IncidentRow, ServiceRow
from query_api.paging import Page
from query_api.text import clean
from query_api.views import moment
from runtime.problem import Problem
from runtime.query_times import MomentAsked
from schemas.lifecycle import ACTIVE

MINUTE: Final = timedelta(minutes=1)
DEFAULT_SPAN: Final = timedelta(hours=1)
MAX_SPAN: Final = timedelta(hours=24)
MAX_SERVICE_MINUTES: Final = 60_000
"""How many minutes of services one answer may hold, empty ones included."""

_MAX_NAMES: Final = 200

_BY_MINUTE: Final = text("""
    SELECT service, minute, jsonb_object_agg(level, events) AS by_level FROM service_minutes
    WHERE service = ANY(CAST(:names AS text[])) AND minute >= :since AND minute < :until
    GROUP BY service, minute ORDER BY service, minute
""").columns(service=String(), minute=DateTime(timezone=True), by_level=JSONB())

Minutes = list[tuple[datetime, dict[str, int]]]
ServiceSort = Literal["active", "service", "-last_event_at"]


@dataclass(frozen=True)
class Span:
    """Whole minutes of event time, `since` included, `until` not."""

    since: datetime
    until: datetime


@dataclass(frozen=True)
class ServiceFilter:
    """Which services, in which order; `since` and `until` as they were asked for."""

    conditions: tuple[ColumnElement[bool], ...]
    sort: ServiceSort
    since: datetime | None
    until: datetime | None


def service_filter(
    *,
    service: Annotated[list[str] | None, Query(description="Only these services; give it once for each.")] = None,
    q: Annotated[Text, Query(description="Text within the service's name, in any case.")] = None,
    since: Annotated[MomentAsked, Query(description="The first minute; default: an hour before `until`.")] = None,
    until: Annotated[MomentAsked, Query(description="Until before this time; default: now.")] = None,
    sort: Annotated[ServiceSort, Query(description="Default: those with the worst active incidents first.")] = "active",
) -> ServiceFilter:
    """The filter that a request asks for."""
    names = [clean(name) for name in service or [] if name]
    if len(names) > _MAX_NAMES:
        raise Problem(422, f"service: at most {_MAX_NAMES} services at once; {len(names)} were given")
    conditions: list[ColumnElement[bool]] = [col(ServiceRow.service).in_(names)] if names else []
    if q is not None:
        conditions.append(col(ServiceRow.service).icontains(q, autoescape=True))
    return ServiceFilter(tuple(conditions), sort, since, until)


def span_of(wanted: ServiceFilter, page: Page, now: datetime) -> Span:
    """The minutes that a request asks for: the last hour, if it does not say.

    Raises:
        Problem: 422 where the span is empty, longer than a day, or too long for so many services.
    """
    until = _next_minute(wanted.until or now)
    since = _minute_of(wanted.since) if wanted.since else until - DEFAULT_SPAN
    length = until - since
    if length <= timedelta(0):
        raise Problem(422, "since: must lie before until")
    if length > MAX_SPAN:
        raise Problem(422, "since: at most 24 hours before until; ask for one day after the other")
    if page.limit * (length // MINUTE) > MAX_SERVICE_MINUTES:
        most = MAX_SERVICE_MINUTES // (length // MINUTE)
        raise Problem(422, f"limit: at most {most} services at once over so many minutes")
    return Span(since, until)


async def services(session: AsyncSession, wanted: ServiceFilter, page: Page) -> tuple[Sequence[ServiceRow], int]:
    """One page of services, and how many there are in all."""
    counted = select(func.count()).select_from(ServiceRow).where(*wanted.conditions)
    listed = _ordered(wanted.sort).where(*wanted.conditions).offset(page.skip).limit(page.limit)
    return (await session.exec(listed)).all(), (await session.exec(counted)).one()


async def minutes(session: AsyncSession, names: Sequence[str], span: Span) -> dict[str, Minutes]:
    """The minutes of some services in which they had events, in order."""
    wanted = {"names": list(names), "since": span.since, "until": span.until}
    found: dict[str, Minutes] = defaultdict(list)
    # Plain rows: there may be tens of thousands, and an object for each would take longer than the query.
    for service, minute, by_level in await (await session.connection()).execute(_BY_MINUTE, wanted):
        found[service].append((minute, by_level))
    return found


async def active_incidents(session: AsyncSession, names: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """The incidents of some services that are open or investigated, the worst first."""
    row = IncidentRow
    statement: Any = (
        select(row.service, row.id, row.rule, row.severity, row.status)  # type: ignore[call-overload]
        .where(col(row.service).in_(names), *_is_active())
        .order_by(col(row.severity), col(row.id).desc())
    )
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for service, number, rule, severity, status in (await session.exec(statement)).all():
        found[service].append({"id": number, "rule": rule, "severity": severity, "status": status})
    return found


def service_view(row: ServiceRow, by_minute: Minutes, active: list[dict[str, Any]]) -> dict[str, Any]:
    """A service as lists show it; minutes without events are left out."""
    totals: dict[str, int] = defaultdict(int)
    for _, by_level in by_minute:
        for level, events in by_level.items():
            totals[level] += events
    return {
        "service": row.service,
        "first_event_at": moment(row.first_event_at),
        "last_event_at": moment(row.last_event_at),
        "active_incidents": active,
        "by_level": totals,
        "minutes": [{"minute": moment(minute), "by_level": by_level} for minute, by_level in by_minute],
    }


def _is_active() -> tuple[ColumnElement[bool], ...]:
    # Literals, as in the index incidents_active: a plan for any parameters could not use it.
    active: list[ColumnElement[str]] = [literal_column(f"'{status}'") for status in sorted(ACTIVE)]
    row = IncidentRow
    return col(row.merged_into).is_(None), ~col(row.shadow), col(row.status).in_(active)


def _ordered(sort: ServiceSort) -> Any:
    if sort == "service":
        return select(ServiceRow).order_by(col(ServiceRow.service))
    if sort == "-last_event_at":
        return select(ServiceRow).order_by(col(ServiceRow.last_event_at).desc(), col(ServiceRow.service))
    incident = IncidentRow
    worst = (
        select(incident.service, func.min(incident.severity).label("severity"))
        .where(*_is_active())
        .group_by(incident.service)
        .subquery()
    )
    return (
        select(ServiceRow)
        .outerjoin(worst, worst.c.service == col(ServiceRow.service))
        .order_by(worst.c.severity.asc().nulls_last(), col(ServiceRow.service))
    )


def _minute_of(value: datetime) -> datetime:
    return value.astimezone(UTC).replace(second=0, microsecond=0)


def _next_minute(value: datetime) -> datetime:
    """The start of the first minute that begins at or after `value`."""
    start = _minute_of(value)
    return start if start == value else start + MINUTE
