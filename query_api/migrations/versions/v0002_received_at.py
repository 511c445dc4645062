"""When each event was appended to the log: what explains an incident needs the order of events and people's changes."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the column, which takes no time; events that were read before have none."""
    op.execute("ALTER TABLE events ADD COLUMN received_at timestamptz")


def downgrade() -> None:
    """Drop it."""
    op.execute("ALTER TABLE events DROP COLUMN received_at")
