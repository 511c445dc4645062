"""What lists can be narrowed by and sorted by: query parameters to conditions."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, get_args

from fastapi import Query
from pydantic import AfterValidator, BeforeValidator
from sqlalchemy import ColumnElement, exists, or_
from sqlmodel import col

from query_api.models import CorrectionRow, EventRow, IncidentRow
from query_api.text import clean
from runtime.query_times import MomentAsked, absent_if_empty
from schemas.analysis import Category, Severity
from schemas.levels import ALIASES, LEVELS, Level, fold_level
from schemas.lifecycle import Status

Sort = Literal[
    "-created_at", "created_at", "-updated_at", "updated_at", "-first_event_at", "first_event_at", "-last_event_at",
    "last_event_at", "-event_count", "event_count", "severity", "-severity", "service", "-service", "id", "-id",
]  # fmt: skip
SORTS: Final[tuple[str, ...]] = get_args(Sort)


def _known_level(value: Any) -> Any:
    if not isinstance(value, str) or (level := fold_level(value)) is None:
        raise ValueError(f"expected one of {', '.join(LEVELS)}, or an alias ({', '.join(ALIASES)})")
    return level


def _cleaned(value: str | None) -> str | None:
    return clean(value) if value else None


_EMPTY: Final = BeforeValidator(absent_if_empty)

Text = Annotated[str | None, AfterValidator(_cleaned), _EMPTY]
OneStatus = Annotated[Status | None, _EMPTY]
OneSeverity = Annotated[Severity | None, _EMPTY]
OneCategory = Annotated[Category | None, _EMPTY]
OneLevel = Annotated[Annotated[Level, BeforeValidator(_known_level)] | None, _EMPTY]
OneSort = Annotated[Sort | None, _EMPTY]
OneFlag = Annotated[bool | None, _EMPTY]
OneId = Annotated[int | None, _EMPTY]


@dataclass(frozen=True)
class IncidentFilter:
    """Which incidents, and in which order."""

    conditions: tuple[ColumnElement[bool], ...]
    order: tuple[ColumnElement[Any], ...]


def incident_filter(
    *,
    status_filter: Annotated[OneStatus, Query(description="Only incidents with this status.")] = None,
    service: Annotated[Text, Query(description="Only incidents of this service.")] = None,
    severity: Annotated[OneSeverity, Query(description="Only incidents of this severity.")] = None,
    category: Annotated[OneCategory, Query(description="Only incidents of this category.")] = None,
    corrected: Annotated[
        OneFlag, Query(description="Only incidents whose analysis a person corrected, or did not.")
    ] = None,
    shadow: Annotated[OneFlag, Query(description="Those of rules on trial instead of the others.")] = None,
    since: Annotated[MomentAsked, Query(description="Opened at or after this time (RFC 3339 with offset).")] = None,
    until: Annotated[MomentAsked, Query(description="Opened before this time.")] = None,
    q: Annotated[Text, Query(description="Text within the summary, service or category, in any case.")] = None,
    sort: Annotated[OneSort, Query(description="Order; `-` is descending. Default: newest first.")] = None,
) -> IncidentFilter:
    """The filter that a request asks for; merged incidents are part of another and never listed."""
    row = IncidentRow
    wanted: list[tuple[Any, Callable[[Any], ColumnElement[bool]]]] = [
        (status_filter, lambda value: col(row.status) == value),
        (service, lambda value: col(row.service) == value),
        (severity, lambda value: col(row.severity) == value),
        (category, lambda value: col(row.category) == value),
        (corrected, lambda value: _is_corrected() if value else ~_is_corrected()),
        (since, lambda value: col(row.created_at) >= value),
        (until, lambda value: col(row.created_at) < value),
        (q, _mentions),
    ]
    conditions = [condition(value) for value, condition in wanted if value is not None]
    listed = (col(row.merged_into).is_(None), col(row.shadow).is_(bool(shadow)))
    return IncidentFilter((*listed, *conditions), order(sort or "-created_at"))


def order(sort: str) -> tuple[ColumnElement[Any], ...]:
    """The order that `sort` names; the id decides between equals, so that pages never overlap."""
    name = sort.removeprefix("-")
    columns = [getattr(IncidentRow, name)] if name == "id" else [getattr(IncidentRow, name), IncidentRow.id]
    descending = sort.startswith("-")
    return tuple(col(column).desc() if descending else col(column).asc() for column in columns)


def _is_corrected() -> ColumnElement[bool]:
    """Whether a correction is in force: the newest one may have taken back what those before it said."""
    said = or_(col(CorrectionRow.category).is_not(None), col(CorrectionRow.severity).is_not(None))
    return exists().where(col(CorrectionRow.change_id) == col(IncidentRow.correction_id), said)


def _mentions(text: str) -> ColumnElement[bool]:
    row = IncidentRow
    return or_(*(col(column).icontains(text, autoescape=True) for column in (row.summary, row.service, row.category)))


@dataclass(frozen=True)
class EventFilter:
    """Which events; `incident_id` is apart because another table knows it."""

    conditions: tuple[ColumnElement[bool], ...]
    incident_id: int | None


def event_filter(
    *,
    service: Annotated[Text, Query(description="Only events of this service.")] = None,
    level: Annotated[OneLevel, Query(description="Only events at this level; aliases such as WARN work.")] = None,
    incident_id: Annotated[OneId, Query(description="Only events that this incident took in.")] = None,
    since: Annotated[MomentAsked, Query(description="At or after this time (RFC 3339 with offset).")] = None,
    until: Annotated[MomentAsked, Query(description="Before this time.")] = None,
) -> EventFilter:
    """The filter that a request asks for."""
    row = EventRow
    wanted: list[tuple[Any, Callable[[Any], ColumnElement[bool]]]] = [
        (service, lambda value: col(row.service) == value),
        (level, lambda value: col(row.level) == value),
        (since, lambda value: col(row.event_time) >= value),
        (until, lambda value: col(row.event_time) < value),
    ]
    conditions = tuple(condition(value) for value, condition in wanted if value is not None)
    return EventFilter(conditions, incident_id)
