"""Events by the day of their receipt, so that old ones go by dropping a table; what was there stays where it is.

The old table becomes the partition of today as it is: no row is copied, and its events count as received now.
"""

from datetime import timedelta

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_KEY = "PRIMARY KEY (partition, record_offset, idx, received_at)"
_ORDER = "event_time, partition, record_offset, idx"
_ONE_OF_EACH = """
    CREATE TABLE events_plain AS
    SELECT DISTINCT ON (id, service) partition, record_offset, idx, id, service, level, message, event_time,
        attributes, trace_id, span_id, host, environment
    FROM events_partitioned ORDER BY id, service, record_offset, idx
"""


def upgrade() -> None:
    """Put a partitioned table around what is there."""
    day = op.get_bind().execute(sa.text("SELECT (now() AT TIME ZONE 'UTC')::date")).scalar_one()
    today, bounds = f"events_{day:%Y%m%d}", f"FROM ('{day} 00:00Z') TO ('{day + timedelta(days=1)} 00:00Z')"
    for statement in (
        "ALTER TABLE events DROP CONSTRAINT events_pkey, DROP CONSTRAINT events_once",
        f"ALTER TABLE events RENAME TO {today}",
        "DROP INDEX events_newest",
        "DROP INDEX events_by_service",
        f"ALTER TABLE {today} ADD COLUMN received_at timestamptz NOT NULL DEFAULT now()",
        f"ALTER TABLE {today} ALTER COLUMN received_at DROP DEFAULT",
        f"CREATE TABLE events (LIKE {today}, {_KEY}) PARTITION BY RANGE (received_at)",
        "CREATE INDEX events_by_id ON events (id, service)",
        f"CREATE INDEX events_newest ON events ({_ORDER}) INCLUDE (received_at)",
        f"CREATE INDEX events_by_service ON events (service, {_ORDER}) INCLUDE (received_at)",
        "CREATE TABLE events_other PARTITION OF events DEFAULT",
        f"ALTER TABLE events ATTACH PARTITION {today} FOR VALUES {bounds}",
    ):
        op.execute(statement)


def downgrade() -> None:
    """One plain table again; of events with one id of one service the first is kept."""
    for statement in (
        "ALTER TABLE events RENAME TO events_partitioned",
        _ONE_OF_EACH,
        "DROP TABLE events_partitioned",
        "ALTER TABLE events_plain RENAME TO events",
        *(
            f"ALTER TABLE events ALTER COLUMN {column} SET NOT NULL"
            for column in ("id", "service", "level", "message", "event_time")
        ),
        "ALTER TABLE events ADD PRIMARY KEY (partition, record_offset, idx)",
        "ALTER TABLE events ADD CONSTRAINT events_once UNIQUE (id, service)",
        f"CREATE INDEX events_newest ON events ({_ORDER})",
        f"CREATE INDEX events_by_service ON events (service, {_ORDER})",
    ):
        op.execute(statement)
