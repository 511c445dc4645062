"""When each incident, the canary's too, became visible for the first time: its latency, and that it came."""

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Incidents of before were seen at a time that nobody noted."""
    op.execute(
        "CREATE TABLE incident_visibility (incident_key text PRIMARY KEY, canary boolean NOT NULL, "
        "partition integer NOT NULL, opened_at timestamptz NOT NULL, visible_at timestamptz NOT NULL)"
    )
    op.execute("CREATE INDEX incident_visibility_newest ON incident_visibility (canary, visible_at)")


def downgrade() -> None:
    """Nothing else depends on it."""
    op.execute("DROP TABLE incident_visibility")
