"""What lists can be narrowed by and sorted by: query parameters to conditions."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Literal, get_args

from fastapi import Query
from pydantic import AfterValidator, BeforeValidator, WithJsonSchema
from sqlalchemy import ColumnElement, and_, exists, or_
from sqlmodel import col

from query_api.models import CorrectionRow, EventRow, IncidentRow
from query_api.text import clean
from runtime.query_times import MomentAsked, absent_if_empty
from schemas.analysis import Category, Severity
from schemas.levels import ALIASES, LEVELS, Level, fold_level
from schemas.lifecycle import Status

_WILDCARDS: Final = re.compile(r"([\\%_])")
_ESCAPED: Final = r"\\\1"

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


def _or_empty(schema: dict[str, Any]) -> WithJsonSchema:
    """What is documented of a parameter that may be empty, which is as good as absent."""
    return WithJsonSchema({"anyOf": [schema, {"const": ""}, {"type": "null"}]})


Text = Annotated[str | None, AfterValidator(_cleaned), _EMPTY]
OneStatus = Annotated[Status | None, _EMPTY, _or_empty({"enum": list(get_args(Status))})]
OneSeverity = Annotated[Severity | None, _EMPTY, _or_empty({"enum": list(get_args(Severity))})]
OneCategory = Annotated[Category | None, _EMPTY, _or_empty({"enum": list(get_args(Category))})]
OneLevel = Annotated[Annotated[Level, BeforeValidator(_known_level)] | None, _EMPTY]
OneSort = Annotated[Sort | None, _EMPTY, _or_empty({"enum": list(SORTS)})]
OneFlag = Annotated[bool | None, _EMPTY, _or_empty({"type": "boolean"})]
OneId = Annotated[int | None, _EMPTY]


@dataclass(frozen=True)
class IncidentFilter:
    """Which incidents, and in which order; None does not narrow. `since` and `until` are about `created_at`."""

    status: Status | None = None
    service: str | None = None
    severity: Severity | None = None
    category: Category | None = None
    corrected: bool | None = None
    since: datetime | None = None
    until: datetime | None = None
    q: str | None = None
    sort: Sort = "-created_at"
    shadow: bool = False
    """Those of rules on trial instead of the others."""

    @property
    def descending(self) -> bool:
        """Whether the greatest come first."""
        return self.sort.startswith("-")

    @property
    def is_counted(self) -> bool:
        """Whether the counts of all times tell how many match."""
        return not self.shadow and {self.q, self.corrected, self.since, self.until} == {None}

    @property
    def is_counted_by_day(self) -> bool:
        """Whether the counts by day tell how many match."""
        return not self.shadow and {self.q, self.service, self.corrected} == {None}

    @property
    def conditions(self) -> tuple[ColumnElement[bool], ...]:
        """Merged incidents are part of another and never listed."""
        row = IncidentRow
        wanted: list[tuple[Any, Callable[[Any], ColumnElement[bool]]]] = [
            (self.status, lambda value: col(row.status) == value),
            (self.service, lambda value: col(row.service) == value),
            (self.severity, lambda value: col(row.severity) == value),
            (self.category, lambda value: col(row.category) == value),
            (self.corrected, lambda value: _is_corrected() if value else ~_is_corrected()),
            (self.since, lambda value: col(row.created_at) >= value),
            (self.until, lambda value: col(row.created_at) < value),
            (self.q, _mentions),
        ]
        on_trial: Any = col(row.shadow) if self.shadow else ~col(row.shadow)
        return (col(row.merged_into).is_(None), on_trial, *(make(value) for value, make in wanted if value is not None))


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
    """The filter that a request asks for."""
    narrowed = (status_filter, service, severity, category, corrected, since, until, q)
    return IncidentFilter(*narrowed, sort or "-created_at", shadow=bool(shadow))


def sort_columns(sort: str) -> tuple[Any, ...]:
    """The columns that `sort` names; the id decides between equals, so that pages never overlap."""
    name = sort.removeprefix("-")
    return tuple(col(getattr(IncidentRow, column)) for column in ([name] if name == "id" else [name, "id"]))


def _is_corrected() -> ColumnElement[bool]:
    """Whether a correction is in force: the newest one may have taken back what those before it said."""
    said = or_(col(CorrectionRow.category).is_not(None), col(CorrectionRow.severity).is_not(None))
    in_force = exists().where(col(CorrectionRow.change_id) == col(IncidentRow.correction_id), said)
    return and_(col(IncidentRow.correction_id).is_not(None), in_force)  # the first part is what the index is for


def _mentions(text: str) -> ColumnElement[bool]:
    row, pattern = IncidentRow, f"%{_WILDCARDS.sub(_ESCAPED, text)}%"
    # ILIKE, because the index of trigrams serves it and not lower(...) LIKE.
    return or_(*(col(column).ilike(pattern, escape="\\") for column in (row.summary, row.service, row.category)))


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
