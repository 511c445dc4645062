"""The analyzer's own tables, in a schema of their own in the pipeline's database; see docs/adr/0010."""

from typing import Final

SCHEMA: Final = """
    SELECT pg_advisory_xact_lock(x'6f70735f616e'::bigint);  -- "ops_an": several workers may start at once
    CREATE SCHEMA IF NOT EXISTS analyzer;
    CREATE TABLE IF NOT EXISTS analyzer.calls (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        day date NOT NULL,
        at timestamptz NOT NULL DEFAULT now(),
        service text NOT NULL,
        incident_key text NOT NULL,
        model text NOT NULL,
        reserved_usd double precision NOT NULL CHECK (reserved_usd >= 0),
        cost_usd double precision CHECK (cost_usd >= 0)
    );
    CREATE INDEX IF NOT EXISTS calls_day ON analyzer.calls (day, service) INCLUDE (reserved_usd, cost_usd);
    CREATE TABLE IF NOT EXISTS analyzer.shares (
        fingerprint bigint PRIMARY KEY,
        incident_key text NOT NULL,
        service text NOT NULL,
        claimed_at timestamptz NOT NULL DEFAULT now(),
        verdict jsonb
    );
"""

_DAY: Final = "(now() AT TIME ZONE 'UTC')::date"
_SPENT: Final = "COALESCE(sum(COALESCE(cost_usd, reserved_usd))"

SPENT: Final = f"""
    SELECT {_SPENT}, 0) AS spent, {_SPENT} FILTER (WHERE service = $1), 0) AS of_service
    FROM analyzer.calls WHERE day = {_DAY}
"""  # noqa: S608 - constants of this module

ONE_AT_A_TIME: Final = "SELECT pg_advisory_xact_lock(x'6f70735f6c65'::bigint)"  # "ops_le"

RESERVE: Final = f"""
    INSERT INTO analyzer.calls (day, service, incident_key, model, reserved_usd)
    VALUES ({_DAY}, $1, $2, $3, $4) RETURNING id
"""  # noqa: S608 - constants of this module

SETTLE: Final = "UPDATE analyzer.calls SET cost_usd = $2 WHERE id = $1"

# A claim stands for an hour; one without a verdict, whose worker may be gone, for as long as a call may take ($4, s).
CLAIM: Final = """
    INSERT INTO analyzer.shares (fingerprint, incident_key, service) VALUES ($1, $2, $3)
    ON CONFLICT (fingerprint) DO UPDATE
    SET incident_key = EXCLUDED.incident_key, service = EXCLUDED.service, claimed_at = now(), verdict = NULL
    WHERE shares.claimed_at < now() - interval '1 hour' OR shares.incident_key = EXCLUDED.incident_key
        OR (shares.verdict IS NULL AND shares.claimed_at < now() - make_interval(secs => $4))
    RETURNING fingerprint
"""
CLAIMED: Final = "SELECT incident_key, service, verdict FROM analyzer.shares WHERE fingerprint = $1"
KEEP: Final = "UPDATE analyzer.shares SET verdict = $3 WHERE fingerprint = $1 AND incident_key = $2"
RELEASE: Final = "DELETE FROM analyzer.shares WHERE fingerprint = $1 AND incident_key = $2 AND verdict IS NULL"
FORGET: Final = "DELETE FROM analyzer.shares WHERE claimed_at < now() - interval '1 day'"
