"""An event may stand under an incident of each rule that counts it."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make the incident a part of what is unique. Links of before were kept for one rule only: a rebuild brings all."""
    op.execute("ALTER TABLE incident_events DROP CONSTRAINT incident_events_pkey")
    op.execute("ALTER TABLE incident_events ADD PRIMARY KEY (partition, record_offset, idx, incident_key)")


def downgrade() -> None:
    """Keep the link of one incident."""
    op.execute(
        """
        DELETE FROM incident_events l USING incident_events other
        WHERE (l.partition, l.record_offset, l.idx) = (other.partition, other.record_offset, other.idx)
            AND l.incident_key > other.incident_key
        """
    )
    op.execute("ALTER TABLE incident_events DROP CONSTRAINT incident_events_pkey")
    op.execute("ALTER TABLE incident_events ADD PRIMARY KEY (partition, record_offset, idx)")
