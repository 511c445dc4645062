"""Every statement with which the materializer writes; each takes a whole batch at once."""

from typing import Final

from query_api.corrections import NEWEST

KNOWN_OFFSETS: Final = """
    SELECT o.topic, o.partition, o.next_offset
    FROM consumer_offsets o JOIN unnest($1::text[], $2::int[]) AS w (topic, partition) USING (topic, partition)
"""

START_OFFSETS: Final = """
    INSERT INTO consumer_offsets (topic, partition, next_offset)
    SELECT topic, partition, 0 FROM unnest($1::text[], $2::int[]) AS w (topic, partition)
    ORDER BY topic, partition
    ON CONFLICT DO NOTHING
"""

# In one order everywhere, so that two materializers cannot wait for each other in a circle.
LOCK_OFFSETS: Final = f"{KNOWN_OFFSETS} ORDER BY o.topic, o.partition FOR UPDATE OF o"

SAVE_OFFSETS: Final = """
    UPDATE consumer_offsets o SET next_offset = w.next_offset
    FROM unnest($1::text[], $2::int[], $3::bigint[]) AS w (topic, partition, next_offset)
    WHERE o.topic = w.topic AND o.partition = w.partition
"""

# Of one (id, service) the first is kept. No index can refuse the second across partitions, so each is looked up. Nobody
# writes one meanwhile: a service's events lie in one partition of the log, whose offsets this transaction has locked.
# LIMIT keeps the planner to one look into the index for each.
INSERT_EVENTS: Final = """
    INSERT INTO events (partition, record_offset, idx, received_at, id, service, level, message, event_time,
                        attributes, trace_id, span_id, host, environment)
    SELECT w.*
    FROM unnest($1::int[], $2::bigint[], $3::int[], $4::timestamptz[], $5::text[], $6::text[], $7::text[], $8::text[],
                $9::timestamptz[], $10::jsonb[], $11::text[], $12::text[], $13::text[], $14::text[])
         AS w (partition, record_offset, idx, received_at, id, service, level, message, event_time,
               attributes, trace_id, span_id, host, environment)
    LEFT JOIN LATERAL (
        SELECT true AS known FROM events e WHERE e.id = w.id AND e.service = w.service LIMIT 1
    ) k ON true
    WHERE k.known IS NULL
    ON CONFLICT DO NOTHING
"""

# Only events that were not there before are counted. A service's events come from one partition, whose offsets are
# locked: two materializers never wait for each other's rows.
INSERT_AND_COUNT_EVENTS: Final = f"""
    WITH new AS ({INSERT_EVENTS} RETURNING service, level, event_time),
    seen AS (
        INSERT INTO services (service, first_event_at, last_event_at)
        SELECT service, min(event_time), max(event_time) FROM new GROUP BY service ORDER BY service
        ON CONFLICT (service) DO UPDATE SET
            first_event_at = LEAST(services.first_event_at, excluded.first_event_at),
            last_event_at = GREATEST(services.last_event_at, excluded.last_event_at)
    )
    INSERT INTO service_minutes (service, minute, level, events)
    SELECT service, date_bin('1 minute', event_time, 'epoch'), level, count(*) FROM new
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    ON CONFLICT (service, minute, level) DO UPDATE SET events = service_minutes.events + excluded.events
"""  # noqa: S608 - put together from the constant above

# Who writes incidents holds this until the commit: ids and changes are then given out in the order of commits, an
# incident and its analysis never miss each other, and links never miss a merge.
WRITER_LOCK: Final = "SELECT pg_advisory_xact_lock(122584494601074)"  # "ops_wr"

_INCIDENTS: Final = """
    jsonb_to_recordset($1::jsonb) AS w (
        key text, version bigint, service text, rule text, record_status text, event_count bigint,
        first_event_at timestamptz, last_event_at timestamptz, created_at timestamptz, updated_at timestamptz,
        threshold int, window_micros bigint, lateness_micros bigint, reason text, partition int, samples jsonb,
        timeline jsonb, minutes jsonb, severity_floor text, previous_key text, merged_into text, shadow boolean)
"""

# The record's timeline tells of the change that the view shows as pending: confirmed or refused, it is pending no more.
_CONFIRMED: Final = "w.timeline @> jsonb_build_array(jsonb_build_object('change_id', i.pending_change_id))"

# An analysis never shows an incident as less severe than its rule's floor: P1 sorts before P2 before P3, and LEAST
# ignores NULL. Before the analysis, the record's own reason stands for the summary.
UPDATE_INCIDENTS: Final = f"""
    UPDATE incidents i SET
        version = w.version, record_status = w.record_status, event_count = w.event_count,
        first_event_at = w.first_event_at, last_event_at = w.last_event_at, created_at = w.created_at,
        updated_at = w.updated_at, threshold = w.threshold, window_micros = w.window_micros,
        lateness_micros = w.lateness_micros, reason = w.reason, partition = w.partition, samples = w.samples,
        timeline = w.timeline, minutes = w.minutes, severity_floor = w.severity_floor,
        previous_key = w.previous_key, merged_into = w.merged_into, shadow = w.shadow,
        severity = COALESCE(c.severity, LEAST(a.severity, w.severity_floor), 'P3'),
        summary = COALESCE(a.summary, w.reason), correction_id = c.change_id,
        pending_status = CASE WHEN {_CONFIRMED} THEN NULL ELSE i.pending_status END,
        pending_change_id = CASE WHEN {_CONFIRMED} THEN NULL ELSE i.pending_change_id END
    FROM {_INCIDENTS}
    LEFT JOIN analyses a ON a.incident_key = w.key
    {NEWEST.format(key="w.key")}
    WHERE i.key = w.key AND i.version < w.version
    RETURNING i.id, i.key, i.merged_into
"""  # noqa: S608 - put together from the constants above

# Given once and kept: a rebuild of the view finds them here.
GIVE_IDS: Final = """
    INSERT INTO incident_ids (key, id)
    SELECT w.key, (SELECT COALESCE(max(id), 0) FROM incident_ids) + row_number() OVER (ORDER BY w.created_at, w.key)
    FROM jsonb_to_recordset($1::jsonb) AS w (key text, created_at timestamptz)
    WHERE NOT EXISTS (SELECT FROM incident_ids n WHERE n.key = w.key)
"""

INSERT_INCIDENTS: Final = f"""
    INSERT INTO incidents (
        id, key, version, service, rule, record_status, event_count, first_event_at, last_event_at, created_at,
        updated_at, threshold, window_micros, lateness_micros, reason, partition, samples, timeline, minutes,
        severity_floor, previous_key, merged_into, shadow, category, severity, summary, recommended_actions,
        analysis_status, correction_id)
    SELECT
        n.id, w.key, w.version, w.service, w.rule, w.record_status, w.event_count, w.first_event_at, w.last_event_at,
        w.created_at, w.updated_at, w.threshold, w.window_micros, w.lateness_micros, w.reason, w.partition, w.samples,
        w.timeline, w.minutes, w.severity_floor, w.previous_key, w.merged_into, w.shadow,
        COALESCE(c.category, a.category, 'other'), COALESCE(c.severity, LEAST(a.severity, w.severity_floor), 'P3'),
        COALESCE(a.summary, w.reason), COALESCE(a.recommended_actions, '{{}}'), COALESCE(a.analysis_status, 'pending'),
        c.change_id
    FROM {_INCIDENTS}
    JOIN incident_ids n ON n.key = w.key
    LEFT JOIN analyses a ON a.incident_key = w.key
    {NEWEST.format(key="w.key")}
    WHERE NOT EXISTS (SELECT FROM incidents i WHERE i.key = w.key)
    RETURNING id, key, merged_into
"""  # noqa: S608 - put together from the constants above

UPSERT_ANALYSES: Final = """
    INSERT INTO analyses (
        incident_key, revision, incident_version, category, severity, summary, recommended_actions, confidence,
        evidence, analyzed_by, analysis_status, reason, cost_usd, latency_ms, request_id, shared_with,
        input_tokens, output_tokens, attempts)
    SELECT * FROM jsonb_to_recordset($1::jsonb) AS w (
        incident_key text, revision bigint, incident_version bigint, category text, severity text, summary text,
        recommended_actions text[], confidence float8, evidence jsonb, analyzed_by text, analysis_status text,
        reason text, cost_usd float8, latency_ms bigint, request_id text, shared_with text,
        input_tokens bigint, output_tokens bigint, attempts int)
    ON CONFLICT (incident_key) DO UPDATE SET
        revision = excluded.revision, incident_version = excluded.incident_version, category = excluded.category,
        severity = excluded.severity, summary = excluded.summary,
        recommended_actions = excluded.recommended_actions, confidence = excluded.confidence,
        evidence = excluded.evidence, analyzed_by = excluded.analyzed_by,
        analysis_status = excluded.analysis_status, reason = excluded.reason, cost_usd = excluded.cost_usd,
        latency_ms = excluded.latency_ms, request_id = COALESCE(excluded.request_id, analyses.request_id),
        shared_with = excluded.shared_with, input_tokens = excluded.input_tokens,
        output_tokens = excluded.output_tokens, attempts = excluded.attempts
    WHERE analyses.revision < excluded.revision
    RETURNING incident_key
"""

# A newer analysis may quote nothing: what the older one quoted goes all the same.
FORGET_TERMS: Final = "DELETE FROM incident_terms WHERE incident_key = ANY($1::text[])"

INSERT_TERMS: Final = """
    INSERT INTO incident_terms (incident_key, words, embedding)
    SELECT w.key, array_to_tsvector(w.words), w.embedding
    FROM jsonb_to_recordset($1::jsonb) AS w (key text, words text[], embedding real[])
"""

# What a person has corrected stays as they said.
SHOW_ANALYSES: Final = f"""
    UPDATE incidents i SET
        category = COALESCE(c.category, a.category),
        severity = COALESCE(c.severity, LEAST(a.severity, i.severity_floor)), summary = a.summary,
        recommended_actions = a.recommended_actions, analysis_status = a.analysis_status
    FROM analyses a
    {NEWEST.format(key="a.incident_key")}
    WHERE a.incident_key = i.key AND i.key = ANY($1::text[])
    RETURNING i.id
"""  # noqa: S608 - put together from the constant of `corrections`

# Which incident a merged one ended in, through any number of merges; the depth guards against a circle.
RESOLVE_MERGES: Final = """
    WITH RECURSIVE chain AS (
        SELECT k AS start, k AS key, 0 AS depth FROM unnest($1::text[]) AS k
        UNION ALL
        SELECT c.start, i.merged_into, c.depth + 1
        FROM chain c JOIN incidents i ON i.key = c.key
        WHERE i.merged_into IS NOT NULL AND c.depth < 32
    )
    SELECT DISTINCT ON (start) start, key FROM chain ORDER BY start, depth DESC
"""

INSERT_LINKS: Final = """
    INSERT INTO incident_events (partition, record_offset, idx, incident_key, event_time)
    SELECT * FROM unnest($1::int[], $2::bigint[], $3::int[], $4::text[], $5::timestamptz[])
    ON CONFLICT DO NOTHING
"""

MOVE_LINKS: Final = """
    WITH moved AS (
        DELETE FROM incident_events e USING unnest($1::text[], $2::text[]) AS w (merged, target)
        WHERE e.incident_key = w.merged
        RETURNING e.partition, e.record_offset, e.idx, w.target, e.event_time
    )
    INSERT INTO incident_events (partition, record_offset, idx, incident_key, event_time)
    SELECT * FROM moved ON CONFLICT DO NOTHING
"""

LOG_CHANGES: Final = """
    INSERT INTO changes (incident_id, kind) SELECT * FROM unnest($1::int[], $2::text[])
"""

CHANNEL: Final = "ops_incidents"
"""PostgreSQL delivers a notification on it when changes are committed."""

NOTIFY: Final = f"SELECT pg_notify('{CHANNEL}', '')"

# Of what was never seen before: a view that is built anew shows nothing for the first time, and no figure of it counts.
NOTE_VISIBLE: Final = """
    INSERT INTO incident_visibility (incident_key, canary, partition, opened_at, visible_at)
    SELECT w.*, $5 FROM unnest($1::text[], $2::boolean[], $3::int[], $4::timestamptz[])
        AS w (incident_key, canary, partition, opened_at)
    WHERE w.opened_at > $5::timestamptz - make_interval(hours => $6)
    ORDER BY incident_key
    ON CONFLICT DO NOTHING
    RETURNING canary, GREATEST(0, extract(epoch FROM visible_at - opened_at))::float8 AS seconds
"""

FORGET_VISIBLE: Final = "DELETE FROM incident_visibility WHERE opened_at < now() - make_interval(hours => $1)"

FORGET_CHANGES: Final = "DELETE FROM changes WHERE at < now() - make_interval(hours => $1)"

UPKEEP_LOCK: Final = "SELECT pg_advisory_xact_lock(122584494601075)"

PARTITIONS: Final = "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'events'::regclass"

# A link's event is gone when it lies below the first that is left of its partition, or below what was read of it where
# none is left. A link that came before its event lies above.
FORGET_LINKS: Final = """
    WITH floors AS (
        SELECT o.partition, COALESCE(
            (SELECT min(e.record_offset) FROM events e WHERE e.partition = o.partition), o.next_offset) AS first
        FROM consumer_offsets o WHERE o.topic = $1
    )
    DELETE FROM incident_events WHERE (partition, record_offset, idx) IN (
        SELECT l.partition, l.record_offset, l.idx
        FROM floors f JOIN incident_events l ON l.partition = f.partition AND l.record_offset < f.first
        LIMIT $2
    )
"""

# Held for as long as a materializer is connected; a rebuild looks whether anybody does.
PRESENCE_LOCK: Final = "SELECT pg_advisory_lock_shared(122584494601076)"

MATERIALIZERS: Final = """
    SELECT count(*) FROM pg_locks
    WHERE locktype = 'advisory' AND granted AND mode = 'ShareLock' AND database = (
        SELECT oid FROM pg_database WHERE datname = current_database()
    ) AND (classid::bigint << 32) + objid::bigint = 122584494601076
"""
FORGET_MINUTES: Final = "DELETE FROM service_minutes WHERE minute < now() - make_interval(days => $1)"
