"""The words of each incident's messages, to find similar ones; pgvector where PostgreSQL has it and lets us."""

from alembic import op

revision = "0004"
down_revision = "0003"

_TABLE = """
    CREATE TABLE incident_terms (
        incident_key text PRIMARY KEY,
        words tsvector NOT NULL,
        embedding real[] NOT NULL
    )
"""
_INDEX = "CREATE INDEX incident_terms_words ON incident_terms USING gin (words)"

# The vectors are plain arrays, cast when they are compared: the schema is the same with and without pgvector.
_EXTENSION = """
    DO $$
    BEGIN
        IF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'vector') THEN
            CREATE EXTENSION IF NOT EXISTS vector;
        END IF;
    EXCEPTION WHEN insufficient_privilege THEN
        RAISE NOTICE 'pgvector may not be installed by this user: similar incidents are found by full text';
    END
    $$
"""


def upgrade() -> None:
    """Make the table, and the extension if that is possible."""
    op.execute(_TABLE)
    op.execute(_INDEX)
    op.execute(_EXTENSION)


def downgrade() -> None:
    """Drop the table; the extension may be somebody else's too."""
    op.execute("DROP TABLE incident_terms")
