"""Incidents of rules on trial: recorded, shown to whoever asks for them, and counted with no others."""

from alembic import op

from query_api.migrations.versions import v0010_incident_counts as counts

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Those of before are all of rules in earnest."""
    op.execute("ALTER TABLE incidents ADD COLUMN shadow boolean NOT NULL DEFAULT false")
    _count_those("merged_into IS NULL AND NOT shadow")


def downgrade() -> None:
    """They would be shown as all others."""
    op.execute("DELETE FROM incidents WHERE shadow")
    _count_those("merged_into IS NULL")
    op.execute("ALTER TABLE incidents DROP COLUMN shadow")


def _count_those(condition: str) -> None:
    for event, rows, _ in counts.TRIGGERS:
        body = counts.apply(rows.replace("merged_into IS NULL", condition))
        op.execute(
            f"CREATE OR REPLACE FUNCTION incidents_counted_{event.lower()}() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN {body} RETURN NULL; END $$"
        )
