"""What came of a round, without the wall clock and the places in the log, so that two runs can be compared."""

import asyncio
import json
from typing import Any, Final, NamedTuple

import asyncpg
from confluent_kafka import KafkaException

from schemas.topics import (
    ANALYSES,
    EVENTS,
    EVENTS_DLQ,
    EVENTS_LATE,
    INCIDENT_EVENTS,
    INCIDENT_STATUS,
    INCIDENTS,
)
from tests.chaos.topic_access import committed, consumer, end, places, records
from tests.support.pipeline import Pipeline

_DETECTION: Final = "ops-detection"

_INCIDENTS: Final = """
    WITH links AS (
        SELECT l.incident_key, array_agg(COALESCE(e.id, 'no event at ' || l.record_offset) ORDER BY e.id) AS ids
        FROM incident_events l LEFT JOIN events e USING (partition, record_offset, idx) GROUP BY l.incident_key
    )
    SELECT i.key, i.service, i.rule, i.version, i.status, i.pending_status, i.event_count, i.first_event_at,
        i.last_event_at, i.threshold, i.window_micros, i.lateness_micros, i.reason, i.previous_key, i.merged_into,
        i.partition, links.ids AS events, i.timeline,
        ARRAY(SELECT e.id FROM jsonb_array_elements(i.samples) s JOIN events e ON e.partition = i.partition
            AND e.record_offset = (s->>0)::bigint AND e.idx = (s->>1)::int ORDER BY e.id) AS samples,
        i.merged_into IS NOT NULL OR i.analysis_status = 'done' AS analysed
    FROM incidents i LEFT JOIN links ON links.incident_key = i.key WHERE starts_with(i.service, $1)
"""
_TIMELINE: Final = ("what", "reason", "actor", "from_status", "to_status", "note")


class Outcome(NamedTuple):
    """Incidents by key, ids of the events that can be read back, ids called late, values in the dead letters."""

    incidents: dict[str, dict[str, Any]]
    events: frozenset[str]
    late: frozenset[str]
    dead: frozenset[str]


def is_caught_up(pipeline: Pipeline) -> bool:
    """Whether everything in the topics is decided on and in the view."""
    try:
        client = consumer(pipeline, _DETECTION)
        try:
            # Committed first, ends after: what a record leads to is published before it is committed.
            decided = committed(client, (EVENTS, INCIDENT_STATUS))
            if any(end(client, place) > offset for place, offset in decided.items()):
                return False
            stored = asyncio.run(_stored(pipeline))
            return all(
                stored.get(place, 0) >= end(client, place)
                for place in places((EVENTS, INCIDENTS, INCIDENT_EVENTS, ANALYSES))
            )
        finally:
            client.close()
    except (KafkaException, OSError, asyncpg.PostgresError):
        return False


def outcome(pipeline: Pipeline, prefix: str) -> Outcome:
    """What came of the services whose names start with `prefix`."""
    rows, ids = asyncio.run(_rows(pipeline, prefix))
    late = frozenset(json.loads(value)["id"] for value in _values(pipeline, EVENTS_LATE) if prefix in value)
    dead = frozenset(_values(pipeline, EVENTS_DLQ))
    return Outcome({row["key"]: _comparable(row) for row in rows}, ids, late, dead)


def differences(calm: Outcome, stormy: Outcome, junk: frozenset[str]) -> list[str]:
    """Every way in which two runs differ, in words."""
    found = [f"event {id_} is missing" for id_ in calm.events - stormy.events]
    found += [f"event {id_} came from nowhere" for id_ in stormy.events - calm.events]
    found += [f"late event {id_} is missing" for id_ in calm.late - stormy.late]
    found += [f"junk is missing: {value}" for value in junk - stormy.dead]
    found += [f"incident {key} is missing: {calm.incidents[key]}" for key in calm.incidents.keys() - stormy.incidents]
    found += [f"incident {key} is new: {stormy.incidents[key]}" for key in stormy.incidents.keys() - calm.incidents]
    for key in calm.incidents.keys() & stormy.incidents.keys():
        before, after = calm.incidents[key], stormy.incidents[key]
        found += [f"{key} {f}: {before[f]!r} became {after[f]!r}" for f in before if before[f] != after[f]]
    return found


def _values(pipeline: Pipeline, topic: str) -> list[str]:
    return [(record.value() or b"").decode() for record in records(pipeline, topic)]


def _comparable(row: dict[str, Any]) -> dict[str, Any]:
    timeline = [{name: entry.get(name) for name in _TIMELINE} for entry in json.loads(row["timeline"])]
    return row | {"timeline": timeline}


async def _rows(pipeline: Pipeline, prefix: str) -> tuple[list[dict[str, Any]], frozenset[str]]:
    connection = await asyncpg.connect(pipeline.environment["DATABASE_URL"])
    try:
        incidents = [dict(row) for row in await connection.fetch(_INCIDENTS, prefix)]
        ids = await connection.fetch("SELECT id FROM events WHERE starts_with(service, $1)", prefix)
        return incidents, frozenset(row["id"] for row in ids)
    finally:
        await connection.close()


async def _stored(pipeline: Pipeline) -> dict[tuple[str, int], int]:
    connection = await asyncpg.connect(pipeline.environment["DATABASE_URL"])
    try:
        rows = await connection.fetch("SELECT topic, partition, next_offset FROM consumer_offsets")
        return {(row["topic"], row["partition"]): row["next_offset"] for row in rows}
    finally:
        await connection.close()
