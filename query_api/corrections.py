"""Corrections in the view: what both the materializer and the route that makes one write."""

from typing import Final

from schemas.correction import Correction
from schemas.timestamps import to_rfc3339

INSERT_CORRECTIONS: Final = """
    INSERT INTO corrections (change_id, incident_key, actor, at, category, severity, note)
    SELECT * FROM jsonb_to_recordset($1::jsonb) AS w (
        change_id text, incident_key text, actor text, at timestamptz, category text, severity text, note text)
    ON CONFLICT DO NOTHING
    RETURNING incident_key
"""

NEWEST: Final = """
    LEFT JOIN LATERAL (
        SELECT * FROM corrections WHERE incident_key = {key} ORDER BY at DESC, change_id DESC LIMIT 1
    ) c ON true
"""
"""Joins the newest correction of an incident, as `c`; `key` is an expression."""

# In the transaction that wrote them; an incident whose record is yet to come finds its correction then.
SHOW_CORRECTIONS: Final = f"""
    UPDATE incidents i SET
        category = COALESCE(c.category, a.category, 'other'),
        severity = COALESCE(c.severity, LEAST(a.severity, i.severity_floor), 'P3'), correction_id = c.change_id
    FROM unnest($1::text[]) AS w (key)
    LEFT JOIN analyses a ON a.incident_key = w.key
    {NEWEST.format(key="w.key")}
    WHERE i.key = w.key
    RETURNING i.id
"""  # noqa: S608 - put together from the constant above


def correction_values(correction: Correction) -> dict[str, str | None]:
    """The row of a correction, JSON-ready."""
    return {
        "change_id": correction.change_id,
        "incident_key": correction.incident_key,
        "actor": correction.actor,
        "at": to_rfc3339(correction.at),
        "category": correction.category,
        "severity": correction.severity,
        "note": correction.note,
    }
