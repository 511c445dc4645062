"""The integer ids in a table of their own, which outlives a rebuild of the view."""

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Keep the ids that were given."""
    op.execute("CREATE TABLE incident_ids (key text PRIMARY KEY, id integer NOT NULL UNIQUE)")
    op.execute("INSERT INTO incident_ids (key, id) SELECT key, id FROM incidents")


def downgrade() -> None:
    """The incidents still have theirs."""
    op.execute("DROP TABLE incident_ids")
