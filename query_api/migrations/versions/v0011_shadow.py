"""Incidents of rules on trial: recorded, and shown to whoever asks for them.

Indices for lists and the counts of incidents leave them out, so that lists are as quick as before.
"""

from alembic import op

revision = "0011"
down_revision = "0010"

_REINDEX = """
    DO $$ DECLARE i record; BEGIN
        FOR i IN SELECT indexname, indexdef FROM pg_indexes
            WHERE schemaname = current_schema() AND tablename = 'incidents' AND position('{old}' in indexdef) > 0
        LOOP
            EXECUTE format('DROP INDEX %I', i.indexname);
            EXECUTE replace(i.indexdef, '{old}', '{new}');
        END LOOP;
    END $$
"""
_RECOUNT = """
    DO $$ DECLARE event text; BEGIN
        FOREACH event IN ARRAY ARRAY['insert', 'update', 'delete'] LOOP
            EXECUTE replace(
                pg_get_functiondef(('incidents_counted_' || event)::regproc), 'merged_into IS NULL{old}',
                'merged_into IS NULL{new}');
        END LOOP;
    END $$
"""


def upgrade() -> None:
    """Those of before are all of rules in earnest."""
    op.execute("ALTER TABLE incidents ADD COLUMN shadow boolean NOT NULL DEFAULT false")
    op.execute(_REINDEX.format(old="merged_into IS NULL", new="merged_into IS NULL AND NOT shadow"))
    op.execute(_RECOUNT.format(old="", new=" AND NOT shadow"))
    op.execute("CREATE INDEX incidents_on_trial ON incidents (created_at, id) WHERE merged_into IS NULL AND shadow")


def downgrade() -> None:
    """They would be shown as all others: they go, and a rebuild brings them as such."""
    op.execute("DELETE FROM incidents WHERE shadow")
    op.execute("DROP INDEX incidents_on_trial")
    op.execute(_RECOUNT.format(old=" AND NOT shadow", new=""))
    op.execute(_REINDEX.format(old="NOT shadow", new="true"))
    op.execute("ALTER TABLE incidents DROP COLUMN shadow")
