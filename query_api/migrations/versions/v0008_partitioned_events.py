"""Events by the day of their receipt, so that old ones go by dropping a table; what was there stays where it is.

The old table becomes the partition of all days up to today as it is: no row is copied. An event whose receipt was not
kept counts as received at its own time.
"""

from datetime import timedelta

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_RECEIPTS = """
    UPDATE events SET received_at = LEAST(COALESCE(received_at, event_time), now())
    WHERE received_at IS NULL OR received_at > now()
"""
_KEY = "PRIMARY KEY (partition, record_offset, idx, received_at)"
_ORDER = "event_time, partition, record_offset, idx"
_ONE_OF_EACH = """
    CREATE TABLE events_plain AS
    SELECT DISTINCT ON (id, service) partition, record_offset, idx, id, service, level, message, event_time,
        attributes, trace_id, span_id, host, environment, received_at
    FROM events_partitioned ORDER BY id, service, record_offset, idx
"""


def upgrade() -> None:
    """Put a partitioned table around what is there."""
    held = op.get_bind().execute(sa.text("SELECT EXISTS (SELECT FROM events)")).scalar_one()
    day = op.get_bind().execute(sa.text("SELECT (now() AT TIME ZONE 'UTC')::date")).scalar_one()
    end = day + timedelta(days=1)
    before, bounds = f"events_before_{end:%Y%m%d}", f"FROM (MINVALUE) TO ('{end} 00:00Z')"
    for statement in (
        "ALTER TABLE events DROP CONSTRAINT events_pkey, DROP CONSTRAINT events_once",
        _RECEIPTS,
        "ALTER TABLE events ALTER COLUMN received_at SET NOT NULL",
        f"ALTER TABLE events RENAME TO {before}",
        "DROP INDEX events_newest",
        "DROP INDEX events_by_service",
        f"CREATE TABLE events (LIKE {before}, {_KEY}) PARTITION BY RANGE (received_at)",
        "CREATE INDEX events_by_id ON events (id, service)",
        f"CREATE INDEX events_newest ON events ({_ORDER}) INCLUDE (received_at)",
        f"CREATE INDEX events_by_service ON events (service, {_ORDER}) INCLUDE (received_at)",
        f"CREATE INDEX events_by_level ON events (level, {_ORDER}) INCLUDE (received_at)",
        f"CREATE INDEX events_by_service_and_level ON events (service, level, {_ORDER}) INCLUDE (received_at)",
        "CREATE TABLE events_other PARTITION OF events DEFAULT",
        f"ALTER TABLE events ATTACH PARTITION {before} FOR VALUES {bounds}" if held else f"DROP TABLE {before}",
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
