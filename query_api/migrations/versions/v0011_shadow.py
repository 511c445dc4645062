"""Incidents of rules on trial: recorded, and shown to whoever asks for them."""

from alembic import op

revision = "0011"
down_revision = "0007"


def upgrade() -> None:
    """Those of before are all of rules in earnest."""
    op.execute("ALTER TABLE incidents ADD COLUMN shadow boolean NOT NULL DEFAULT false")


def downgrade() -> None:
    """They would be shown as all others."""
    op.execute("DELETE FROM incidents WHERE shadow")
    op.execute("ALTER TABLE incidents DROP COLUMN shadow")
