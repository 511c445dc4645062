"""The tables of the view. PostgreSQL holds nothing that the topics do not: it can be dropped and filled again."""

from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    Computed,
    Date,
    DateTime,
    Float,
    Identity,
    Index,
    Integer,
    MetaData,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, REAL, TSVECTOR
from sqlmodel import Field, SQLModel

METADATA: Final[MetaData] = SQLModel.metadata

_EVENT_ORDER: Final = ("event_time", "partition", "record_offset", "idx")
_TEXT_COLUMNS: Final = ("summary", "service", "category")


def _text(**options: Any) -> Column[Any]:
    return Column(Text, **({"nullable": False} | options))


def _big(**options: Any) -> Column[Any]:
    return Column(BigInteger, **({"nullable": False} | options))


def _time(**options: Any) -> Column[Any]:
    return Column(DateTime(timezone=True), **({"nullable": False} | options))


def _json(**options: Any) -> Column[Any]:
    return Column(JSONB(none_as_null=True), **({"nullable": False} | options))


_LISTED: Final = "merged_into IS NULL AND NOT shadow"
"""Which incidents lists show, unless those of rules on trial are asked for."""


class IncidentRow(SQLModel, table=True):
    """The newest version of an incident, with what lists show of its analysis.

    `id` is given in the order in which the view first saw the incidents, without gaps. `status` is what people see:
    the status of a change that the processor has yet to confirm, else the one of the record.
    """

    __tablename__ = "incidents"
    __table_args__ = (
        Index("incidents_newest", "created_at", "id", postgresql_where=text(_LISTED)),
        Index(
            "incidents_by_service",
            "service",
            "created_at",
            "id",
            postgresql_where=text(_LISTED),
        ),
        Index(
            "incidents_by_status",
            "status",
            "created_at",
            "id",
            postgresql_where=text(_LISTED),
        ),
        Index("incidents_on_trial", "created_at", "id", postgresql_where=text("merged_into IS NULL AND shadow")),
        Index("incidents_merged", "merged_into", postgresql_where=text("merged_into IS NOT NULL")),
        *(
            Index(f"incidents_by_{name}", *columns, "id", postgresql_where=text(_LISTED))
            for name, *columns in (
                ("updated_at", "updated_at"),
                ("first_event_at", "first_event_at"),
                ("last_event_at", "last_event_at"),
                ("event_count", "event_count"),
                ("severity", "severity"),
                ("name", "service"),
                ("category", "category", "created_at"),
            )
        ),
        Index(
            "incidents_by_text",
            *_TEXT_COLUMNS,
            postgresql_using="gin",
            postgresql_ops=dict.fromkeys(_TEXT_COLUMNS, "gin_trgm_ops"),
            postgresql_where=text(_LISTED),
        ),
        Index(
            "incidents_active",
            "service",
            "severity",
            "id",
            postgresql_where=text(f"{_LISTED} AND status IN ('open', 'investigating')"),
        ),
        Index(
            "incidents_by_corrected",
            "created_at",
            "id",
            postgresql_where=text(f"{_LISTED} AND correction_id IS NOT NULL"),
        ),
    )

    id: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    key: str = Field(sa_column=_text(unique=True))
    version: int = Field(sa_column=_big())
    service: str = Field(sa_column=_text())
    rule: str = Field(sa_column=_text())
    record_status: str = Field(sa_column=_text())
    pending_status: str | None = Field(default=None, sa_column=_text(nullable=True))
    pending_change_id: str | None = Field(default=None, sa_column=_text(nullable=True))
    status: str = Field(sa_column=Column(Text, Computed("COALESCE(pending_status, record_status)", persisted=True)))
    category: str = Field(sa_column=_text())
    severity: str = Field(sa_column=_text())
    summary: str = Field(sa_column=_text())
    recommended_actions: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    analysis_status: str = Field(sa_column=_text())
    event_count: int = Field(sa_column=_big())
    first_event_at: datetime = Field(sa_column=_time())
    last_event_at: datetime = Field(sa_column=_time())
    created_at: datetime = Field(sa_column=_time())
    updated_at: datetime = Field(sa_column=_time())
    threshold: int = Field(sa_column=Column(Integer, nullable=False))
    window_micros: int = Field(sa_column=_big())
    lateness_micros: int = Field(sa_column=_big())
    reason: str = Field(sa_column=_text())
    partition: int = Field(sa_column=Column(Integer, nullable=False))
    samples: list[list[int]] = Field(sa_column=_json())
    timeline: list[dict[str, Any]] = Field(sa_column=_json())
    minutes: list[Any] = Field(sa_column=_json())
    severity_floor: str | None = Field(default=None, sa_column=_text(nullable=True))
    previous_key: str | None = Field(default=None, sa_column=_text(nullable=True))
    merged_into: str | None = Field(default=None, sa_column=_text(nullable=True))
    shadow: bool = Field(default=False, sa_column=Column(Boolean, nullable=False, server_default=text("false")))
    correction_id: str | None = Field(default=None, sa_column=_text(nullable=True))


class AnalysisRow(SQLModel, table=True):
    """The newest analysis of an incident; it may come before the incident's own record."""

    __tablename__ = "analyses"

    incident_key: str = Field(sa_column=_text(primary_key=True))
    revision: int = Field(sa_column=_big())
    incident_version: int = Field(sa_column=_big())
    category: str = Field(sa_column=_text())
    severity: str = Field(sa_column=_text())
    summary: str = Field(sa_column=_text())
    recommended_actions: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    confidence: float = Field(sa_column=Column(Float, nullable=False))
    evidence: list[dict[str, Any]] = Field(sa_column=_json())
    analyzed_by: str = Field(sa_column=_text())
    analysis_status: str = Field(sa_column=_text())
    reason: str = Field(sa_column=_text())
    cost_usd: float = Field(sa_column=Column(Float, nullable=False))
    latency_ms: int = Field(sa_column=_big())
    request_id: str | None = Field(default=None, sa_column=_text(nullable=True))
    shared_with: str | None = Field(default=None, sa_column=_text(nullable=True))
    input_tokens: int = Field(default=0, sa_column=_big(server_default="0"))
    output_tokens: int = Field(default=0, sa_column=_big(server_default="0"))
    attempts: int = Field(default=0, sa_column=Column(Integer, nullable=False, server_default="0"))


class CorrectionRow(SQLModel, table=True):
    """What a person says an incident is; None: as analysed. The newest of an incident counts."""

    __tablename__ = "corrections"
    __table_args__ = (Index("corrections_newest", "incident_key", "at", "change_id"),)

    change_id: str = Field(sa_column=_text(primary_key=True))
    incident_key: str = Field(sa_column=_text())
    actor: str = Field(sa_column=_text())
    at: datetime = Field(sa_column=_time())
    category: str | None = Field(default=None, sa_column=_text(nullable=True))
    severity: str | None = Field(default=None, sa_column=_text(nullable=True))
    note: str | None = Field(default=None, sa_column=_text(nullable=True))


class IncidentTermsRow(SQLModel, table=True):
    """The words of the messages that an incident's newest analysis quotes, and their vector; see `similarity.terms`."""

    __tablename__ = "incident_terms"
    __table_args__ = (Index("incident_terms_words", "words", postgresql_using="gin"),)

    incident_key: str = Field(sa_column=_text(primary_key=True))
    words: str = Field(sa_column=Column(TSVECTOR, nullable=False))
    embedding: list[float] = Field(sa_column=Column(ARRAY(REAL), nullable=False))


class EventRow(SQLModel, table=True):
    """An event where it lies in `ops.events`; of two with one id of one service only the first is kept.

    Partitioned by the day of its receipt (the time at which the broker took it into the log), not of the event itself,
    whose time anybody may choose. An event's place in the log tells its receipt, so the key is the place still.
    """

    __tablename__ = "events"
    __table_args__ = (
        # Not unique: PostgreSQL cannot hold that across partitions. The materializer looks before it writes.
        Index("events_by_id", "id", "service"),
        # With the receipt, so that a row found in the index is looked for in one partition.
        Index("events_newest", *_EVENT_ORDER, postgresql_include=["received_at"]),
        *(
            Index(f"events_by_{name}", *columns, *_EVENT_ORDER, postgresql_include=["received_at"])
            for name, *columns in (
                ("service", "service"),
                ("level", "level"),
                ("service_and_level", "service", "level"),
            )
        ),
        {"postgresql_partition_by": "RANGE (received_at)"},
    )

    partition: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    record_offset: int = Field(sa_column=_big(primary_key=True, autoincrement=False))
    idx: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    received_at: datetime = Field(sa_column=_time(primary_key=True))
    id: str = Field(sa_column=_text())
    service: str = Field(sa_column=_text())
    level: str = Field(sa_column=_text())
    message: str = Field(sa_column=_text())
    event_time: datetime = Field(sa_column=_time())
    attributes: dict[str, Any] | None = Field(default=None, sa_column=_json(nullable=True))
    trace_id: str | None = Field(default=None, sa_column=_text(nullable=True))
    span_id: str | None = Field(default=None, sa_column=_text(nullable=True))
    host: str | None = Field(default=None, sa_column=_text(nullable=True))
    environment: str | None = Field(default=None, sa_column=_text(nullable=True))


class IncidentEventRow(SQLModel, table=True):
    """Which incident took an event in, one of each rule at the most; the event's own row may come before or after."""

    __tablename__ = "incident_events"
    __table_args__ = (
        Index("incident_events_newest", "incident_key", "event_time", "partition", "record_offset", "idx"),
    )

    partition: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    record_offset: int = Field(sa_column=_big(primary_key=True, autoincrement=False))
    idx: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    incident_key: str = Field(sa_column=_text(primary_key=True))
    event_time: datetime = Field(sa_column=_time())


class IncidentIdRow(SQLModel, table=True):
    """The integer id of an incident, given once; a rebuild of the view keeps this table."""

    __tablename__ = "incident_ids"

    key: str = Field(sa_column=_text(primary_key=True))
    id: int = Field(sa_column=Column(Integer, nullable=False, unique=True))


class IncidentVisibilityRow(SQLModel, table=True):
    """When an incident, of the canary or of anybody else, could be seen for the first time; a rebuild keeps this table.

    `opened_at`: when the record that opened it was appended to the log. Kept for a day.
    """

    __tablename__ = "incident_visibility"
    __table_args__ = (Index("incident_visibility_newest", "canary", "visible_at"),)

    incident_key: str = Field(sa_column=_text(primary_key=True))
    canary: bool = Field(sa_column=Column(Boolean, nullable=False))
    partition: int = Field(sa_column=Column(Integer, nullable=False))
    opened_at: datetime = Field(sa_column=_time())
    visible_at: datetime = Field(sa_column=_time())


class IncidentCountRow(SQLModel, table=True):
    """How many incidents there are of each kind; the service `''` stands for all. Kept true by triggers."""

    __tablename__ = "incident_counts"

    service: str = Field(sa_column=_text(primary_key=True))
    status: str = Field(sa_column=_text(primary_key=True))
    severity: str = Field(sa_column=_text(primary_key=True))
    category: str = Field(sa_column=_text(primary_key=True))
    incidents: int = Field(sa_column=_big())


class IncidentDayRow(SQLModel, table=True):
    """How many incidents of each kind opened on each day (UTC). Kept true by triggers."""

    __tablename__ = "incident_days"

    day: date = Field(sa_column=Column(Date, primary_key=True))
    status: str = Field(sa_column=_text(primary_key=True))
    severity: str = Field(sa_column=_text(primary_key=True))
    category: str = Field(sa_column=_text(primary_key=True))
    incidents: int = Field(sa_column=_big())


class ServiceRow(SQLModel, table=True):
    """A service that has sent events; the times are those of its oldest and newest event."""

    __tablename__ = "services"

    service: str = Field(sa_column=_text(primary_key=True))
    first_event_at: datetime = Field(sa_column=_time())
    last_event_at: datetime = Field(sa_column=_time())


class ServiceMinuteRow(SQLModel, table=True):
    """How many events of one level a service had in one minute of event time, each id counted once."""

    __tablename__ = "service_minutes"
    __table_args__ = (Index("service_minutes_oldest", "minute"),)

    service: str = Field(sa_column=_text(primary_key=True))
    minute: datetime = Field(sa_column=_time(primary_key=True))
    level: str = Field(sa_column=_text(primary_key=True))
    events: int = Field(sa_column=_big())


class ConsumerOffsetRow(SQLModel, table=True):
    """How far the view has read a partition: written in the transaction of the data, so the two never disagree."""

    __tablename__ = "consumer_offsets"

    topic: str = Field(sa_column=_text(primary_key=True))
    partition: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    next_offset: int = Field(sa_column=_big())


class ChangeRow(SQLModel, table=True):
    """One change of what an incident shows, for live readers; ids are committed in their order."""

    __tablename__ = "changes"

    id: int = Field(sa_column=Column(BigInteger, Identity(always=True), primary_key=True))
    incident_id: int = Field(sa_column=Column(Integer, nullable=False))
    kind: str = Field(sa_column=_text())
    at: datetime = Field(sa_column=_time(server_default=func.now()))
