"""The view: incidents, analyses, events and their links, how far it has read, and what changed."""

from alembic import op

revision = "0001"
down_revision = None

_UP = (
    """
    CREATE TABLE incidents (
        id integer PRIMARY KEY,
        key text NOT NULL UNIQUE,
        version bigint NOT NULL,
        service text NOT NULL,
        rule text NOT NULL,
        record_status text NOT NULL,
        pending_status text,
        pending_change_id text,
        status text GENERATED ALWAYS AS (COALESCE(pending_status, record_status)) STORED,
        category text NOT NULL,
        severity text NOT NULL,
        summary text NOT NULL,
        recommended_actions text[] NOT NULL,
        analysis_status text NOT NULL,
        event_count bigint NOT NULL,
        first_event_at timestamptz NOT NULL,
        last_event_at timestamptz NOT NULL,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        threshold integer NOT NULL,
        window_micros bigint NOT NULL,
        lateness_micros bigint NOT NULL,
        reason text NOT NULL,
        partition integer NOT NULL,
        samples jsonb NOT NULL,
        timeline jsonb NOT NULL,
        minutes jsonb NOT NULL,
        severity_floor text,
        previous_key text,
        merged_into text
    )
    """,
    "CREATE INDEX incidents_newest ON incidents (created_at, id) WHERE merged_into IS NULL",
    "CREATE INDEX incidents_by_service ON incidents (service, created_at, id) WHERE merged_into IS NULL",
    "CREATE INDEX incidents_by_status ON incidents (status, created_at, id) WHERE merged_into IS NULL",
    "CREATE INDEX incidents_merged ON incidents (merged_into) WHERE merged_into IS NOT NULL",
    """
    CREATE TABLE analyses (
        incident_key text PRIMARY KEY,
        revision bigint NOT NULL,
        incident_version bigint NOT NULL,
        category text NOT NULL,
        severity text NOT NULL,
        summary text NOT NULL,
        recommended_actions text[] NOT NULL,
        confidence double precision NOT NULL,
        evidence jsonb NOT NULL,
        analyzed_by text NOT NULL,
        analysis_status text NOT NULL,
        reason text NOT NULL,
        cost_usd double precision NOT NULL,
        latency_ms bigint NOT NULL,
        request_id text
    )
    """,
    """
    CREATE TABLE events (
        partition integer NOT NULL,
        record_offset bigint NOT NULL,
        idx integer NOT NULL,
        id text NOT NULL,
        service text NOT NULL,
        level text NOT NULL,
        message text NOT NULL,
        event_time timestamptz NOT NULL,
        attributes jsonb,
        trace_id text,
        span_id text,
        host text,
        environment text,
        PRIMARY KEY (partition, record_offset, idx),
        CONSTRAINT events_once UNIQUE (id, service)
    )
    """,
    "CREATE INDEX events_newest ON events (event_time, partition, record_offset, idx)",
    "CREATE INDEX events_by_service ON events (service, event_time, partition, record_offset, idx)",
    """
    CREATE TABLE incident_events (
        partition integer NOT NULL,
        record_offset bigint NOT NULL,
        idx integer NOT NULL,
        incident_key text NOT NULL,
        event_time timestamptz NOT NULL,
        PRIMARY KEY (partition, record_offset, idx)
    )
    """,
    """
    CREATE INDEX incident_events_newest
        ON incident_events (incident_key, event_time, partition, record_offset, idx)
    """,
    """
    CREATE TABLE consumer_offsets (
        topic text NOT NULL,
        partition integer NOT NULL,
        next_offset bigint NOT NULL,
        PRIMARY KEY (topic, partition)
    )
    """,
    """
    CREATE TABLE changes (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        incident_id integer NOT NULL,
        kind text NOT NULL,
        at timestamptz NOT NULL DEFAULT now()
    )
    """,
)

_TABLES = ("changes", "consumer_offsets", "incident_events", "events", "analyses", "incidents")


def upgrade() -> None:
    """Make the tables."""
    for statement in _UP:
        op.execute(statement)


def downgrade() -> None:
    """Drop them; the topics still hold what they held."""
    for table in _TABLES:
        op.execute(f"DROP TABLE {table}")
