"""Counts of incidents kept by the database itself, and an index for every order and for the text search.

A total then reads at most 192 rows (4 statuses, 3 severities, 16 categories) instead of counting a million, and a deep
page starts at the right day.
"""

from typing import Final

from alembic import op

revision = "0010"
down_revision = "0009"

# What a statement took away and what it brought, summed by all that lists are narrowed by.
_DELTA: Final = """
    SELECT service, (created_at AT TIME ZONE 'UTC')::date AS day, status, severity, category, sum(n) AS n
    FROM ({rows}) r GROUP BY 1, 2, 3, 4, 5 HAVING sum(n) <> 0
"""
_ROWS: Final = "SELECT service, created_at, status, severity, category, {n} AS n FROM {table} WHERE merged_into IS NULL"
_OLD: Final = _ROWS.format(n=-1, table="old_rows")
_NEW: Final = _ROWS.format(n=1, table="new_rows")

# '' stands for all services: no service has an empty name. Rows in one order, so that no two writers wait in a circle.
_APPLY: Final = """
    INSERT INTO incident_counts AS c (service, status, severity, category, incidents)
    SELECT s, status, severity, category, sum(n)
    FROM ({delta}) d, LATERAL (VALUES (d.service), ('')) AS both_kinds (s)
    GROUP BY 1, 2, 3, 4 HAVING sum(n) <> 0 ORDER BY 1, 2, 3, 4
    ON CONFLICT (service, status, severity, category) DO UPDATE SET incidents = c.incidents + excluded.incidents;
    INSERT INTO incident_days AS c (day, status, severity, category, incidents)
    SELECT day, status, severity, category, sum(n) FROM ({delta}) d
    GROUP BY 1, 2, 3, 4 HAVING sum(n) <> 0 ORDER BY 1, 2, 3, 4
    ON CONFLICT (day, status, severity, category) DO UPDATE SET incidents = c.incidents + excluded.incidents;
"""
_COUNTS: Final = """
    CREATE TABLE {table} (
        {first} {kind}, status text, severity text, category text, incidents bigint NOT NULL,
        PRIMARY KEY ({first}, status, severity, category)
    )
"""
_TEXT: Final = """
    CREATE INDEX incidents_by_text ON incidents
    USING gin (summary gin_trgm_ops, service gin_trgm_ops, category gin_trgm_ops) WHERE merged_into IS NULL
"""
_CORRECTED: Final = """
    CREATE INDEX incidents_by_corrected ON incidents (created_at, id)
    WHERE merged_into IS NULL AND correction_id IS NOT NULL
"""
_TRIGGERS: Final = (
    ("INSERT", _NEW, "NEW TABLE AS new_rows"),
    ("UPDATE", f"{_OLD} UNION ALL {_NEW}", "OLD TABLE AS old_rows NEW TABLE AS new_rows"),
    ("DELETE", _OLD, "OLD TABLE AS old_rows"),
)
_ORDERS: Final = ("updated_at", "first_event_at", "last_event_at", "event_count", "severity")


def upgrade() -> None:
    """Count what is there, then let triggers follow every change."""
    for statement in (
        "CREATE EXTENSION IF NOT EXISTS pg_trgm",
        _COUNTS.format(table="incident_counts", first="service", kind="text"),
        _COUNTS.format(table="incident_days", first="day", kind="date"),
        *(f"CREATE INDEX incidents_by_{name} ON incidents ({name}, id) WHERE merged_into IS NULL" for name in _ORDERS),
        "CREATE INDEX incidents_by_category ON incidents (category, created_at, id) WHERE merged_into IS NULL",
        "CREATE INDEX incidents_by_name ON incidents (service, id) WHERE merged_into IS NULL",
        _TEXT,
        _CORRECTED,
        "DROP INDEX incidents_counted",
        f"DO $$ BEGIN {_apply(_ROWS.format(n=1, table='incidents'))} END $$",
    ):
        op.execute(statement)
    for event, rows, tables in _TRIGGERS:
        name = f"incidents_counted_{event.lower()}"
        op.execute(
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {_apply(rows)} RETURN NULL; END $$"
        )
        op.execute(
            f"CREATE TRIGGER {name} AFTER {event} ON incidents REFERENCING {tables}"
            f" FOR EACH STATEMENT EXECUTE FUNCTION {name}()"
        )
    op.execute(
        "CREATE FUNCTION incidents_counted_truncate() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN DELETE FROM incident_counts; DELETE FROM incident_days; RETURN NULL; END $$"
    )
    op.execute(
        "CREATE TRIGGER incidents_counted_truncate AFTER TRUNCATE ON incidents"
        " FOR EACH STATEMENT EXECUTE FUNCTION incidents_counted_truncate()"
    )


def downgrade() -> None:
    """Count no more."""
    for event in ("insert", "update", "delete", "truncate"):
        op.execute(f"DROP TRIGGER incidents_counted_{event} ON incidents")
        op.execute(f"DROP FUNCTION incidents_counted_{event}()")
    for name in (*_ORDERS, "category", "name", "text", "corrected"):
        op.execute(f"DROP INDEX incidents_by_{name}")
    op.execute("DROP TABLE incident_counts, incident_days")
    op.execute("CREATE INDEX incidents_counted ON incidents (status, severity) WHERE merged_into IS NULL")


def _apply(rows: str) -> str:
    return _APPLY.format(delta=_DELTA.format(rows=rows))
