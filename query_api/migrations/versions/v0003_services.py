"""Services: every one seen, its events by minute and level, and an index that finds what is active."""

from alembic import op

revision = "0003"
down_revision = "0002"

_UP = (
    """
    CREATE TABLE services (
        service text PRIMARY KEY,
        first_event_at timestamptz NOT NULL,
        last_event_at timestamptz NOT NULL
    ) WITH (fillfactor = 50)
    """,
    # Counts grow in place: with room on the page and no index on them, an update touches no index.
    """
    CREATE TABLE service_minutes (
        service text NOT NULL,
        minute timestamptz NOT NULL,
        level text NOT NULL,
        events bigint NOT NULL,
        PRIMARY KEY (service, minute, level)
    ) WITH (fillfactor = 80)
    """,
    "CREATE INDEX service_minutes_oldest ON service_minutes (minute)",
    """
    CREATE INDEX incidents_active ON incidents (service, severity, id)
        WHERE merged_into IS NULL AND status IN ('open', 'investigating')
    """,
    "CREATE INDEX incidents_counted ON incidents (status, severity) WHERE merged_into IS NULL",
    """
    INSERT INTO services (service, first_event_at, last_event_at)
    SELECT service, min(event_time), max(event_time) FROM events GROUP BY service
    """,
    """
    INSERT INTO service_minutes (service, minute, level, events)
    SELECT service, date_bin('1 minute', event_time, 'epoch'), level, count(*) FROM events
    WHERE event_time >= now() - interval '7 days' GROUP BY 1, 2, 3
    """,
)


def upgrade() -> None:
    """Make them, from the events that the view holds already."""
    for statement in _UP:
        op.execute(statement)


def downgrade() -> None:
    """Drop them; events hold what they summed up."""
    op.execute("DROP INDEX incidents_counted, incidents_active")
    op.execute("DROP TABLE service_minutes, services")
