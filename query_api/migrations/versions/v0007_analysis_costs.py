"""Whose answer an analysis is, what models have charged for it, and how often they were asked in vain."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the columns; rows of before are filled when their analysis comes by again."""
    op.execute(
        """
        ALTER TABLE analyses
            ADD COLUMN shared_with text,
            ADD COLUMN input_tokens bigint NOT NULL DEFAULT 0,
            ADD COLUMN output_tokens bigint NOT NULL DEFAULT 0,
            ADD COLUMN attempts integer NOT NULL DEFAULT 0
        """
    )


def downgrade() -> None:
    """Drop them; the topic still holds what they held."""
    op.execute(
        """
        ALTER TABLE analyses
            DROP COLUMN shared_with,
            DROP COLUMN input_tokens,
            DROP COLUMN output_tokens,
            DROP COLUMN attempts
        """
    )
