"""Events by the day of their receipt, so that old ones go by dropping a table; what was there stays where it is.

The old table becomes the partition of today as it is: no row is copied, and its events count as received now.
"""

from datetime import timedelta

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_COLUMNS = (
    "partition, record_offset, idx, id, service, level, message, event_time, attributes, trace_id, span_id, host,"
    " environment"
)


def upgrade() -> None:
    """Put a partitioned table around what is there."""
    day = op.get_bind().execute(sa.text("SELECT (now() AT TIME ZONE 'UTC')::date")).scalar_one()
    today = f"events_{day:%Y%m%d}"
    for statement in (
        "ALTER TABLE events DROP CONSTRAINT events_pkey, DROP CONSTRAINT events_once",
        f"ALTER TABLE events RENAME TO {today}",
        "DROP INDEX events_newest",
        "DROP INDEX events_by_service",
        f"ALTER TABLE {today} ADD COLUMN received_at timestamptz NOT NULL DEFAULT now()",
        f"ALTER TABLE {today} ALTER COLUMN received_at DROP DEFAULT",
        f"CREATE TABLE events (LIKE {today}, PRIMARY KEY (partition, record_offset, idx, received_at))"
        " PARTITION BY RANGE (received_at)",
        "CREATE INDEX events_by_id ON events (id, service)",
        "CREATE INDEX events_newest ON events (event_time, partition, record_offset, idx)",
        "CREATE INDEX events_by_service ON events (service, event_time, partition, record_offset, idx)",
        "CREATE TABLE events_other PARTITION OF events DEFAULT",
        f"ALTER TABLE events ATTACH PARTITION {today}"
        f" FOR VALUES FROM ('{day}T00:00:00Z') TO ('{day + timedelta(days=1)}T00:00:00Z')",
    ):
        op.execute(statement)


def downgrade() -> None:
    """One plain table again; of events with one id of one service the first is kept."""
    for statement in (
        "ALTER TABLE events RENAME TO events_partitioned",
        f"CREATE TABLE events_plain AS SELECT DISTINCT ON (id, service) {_COLUMNS}"  # noqa: S608 - the constant above
        " FROM events_partitioned ORDER BY id, service, record_offset, idx",
        "DROP TABLE events_partitioned",
        "ALTER TABLE events_plain RENAME TO events",
        *(
            f"ALTER TABLE events ALTER COLUMN {column} SET NOT NULL"
            for column in ("id", "service", "level", "message", "event_time")
        ),
        "ALTER TABLE events ADD PRIMARY KEY (partition, record_offset, idx)",
        "ALTER TABLE events ADD CONSTRAINT events_once UNIQUE (id, service)",
        "CREATE INDEX events_newest ON events (event_time, partition, record_offset, idx)",
        "CREATE INDEX events_by_service ON events (service, event_time, partition, record_offset, idx)",
    ):
        op.execute(statement)
