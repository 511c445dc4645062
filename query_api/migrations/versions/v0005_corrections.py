"""What people say an incident is, kept beside what it was analysed as."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make the table; incidents name the newest correction that they show."""
    op.execute(
        """
        CREATE TABLE corrections (
            change_id text PRIMARY KEY,
            incident_key text NOT NULL,
            actor text NOT NULL,
            at timestamptz NOT NULL,
            category text,
            severity text,
            note text
        )
        """
    )
    op.execute("CREATE INDEX corrections_newest ON corrections (incident_key, at, change_id)")
    op.execute("ALTER TABLE incidents ADD COLUMN correction_id text")


def downgrade() -> None:
    """Drop them; the topic still holds what they held."""
    op.execute("ALTER TABLE incidents DROP COLUMN correction_id")
    op.execute("DROP TABLE corrections")
