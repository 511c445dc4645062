"""What came of a round, without the wall clock and the places in the log, so that two runs can be compared."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import asyncpg
from confluent_kafka import Consumer, KafkaException, TopicPartition

from schemas.topics import (
    ANALYSES,
    EVENTS,
    EVENTS_DLQ,
    EVENTS_LATE,
    INCIDENT_EVENTS,
    INCIDENT_STATUS,
    INCIDENTS,
)
from tests.chaos.workload import PARTITIONS
from tests.support.pipeline import Pipeline

_DETECTION: Final = "ops-detection"
_SECONDS: Final = 10.0

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
        with_ends = _client(pipeline, _DETECTION)
        try:
            # Committed first, ends after: what a record leads to is published before it is committed.
            decided = _committed(with_ends, (EVENTS, INCIDENT_STATUS))
            if any(_end(with_ends, place) > offset for place, offset in decided.items()):
                return False
            stored = asyncio.run(_stored(pipeline))
            return all(
                stored.get(place, 0) >= _end(with_ends, place)
                for place in _places((EVENTS, INCIDENTS, INCIDENT_EVENTS, ANALYSES))
            )
        finally:
            with_ends.close()
    except (KafkaException, OSError, asyncpg.PostgresError):
        return False


def outcome(pipeline: Pipeline, prefix: str) -> Outcome:
    """What came of the services whose names start with `prefix`."""
    rows, ids = asyncio.run(_rows(pipeline, prefix))
    late = frozenset(json.loads(value)["id"] for value in _values(pipeline, EVENTS_LATE) if prefix in value)
    return Outcome({row["key"]: _comparable(row) for row in rows}, ids, late, frozenset(_values(pipeline, EVENTS_DLQ)))


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


def _places(topics: tuple[str, ...]) -> list[tuple[str, int]]:
    return [(topic, partition) for topic in topics for partition in range(PARTITIONS)]


def _client(pipeline: Pipeline, group: str) -> Consumer:
    return Consumer(
        {
            "bootstrap.servers": pipeline.environment["KAFKA_BOOTSTRAP_SERVERS"],
            "group.id": group,
            "enable.auto.commit": False,
            "log_level": 0,
        }
    )


def _committed(client: Consumer, topics: tuple[str, ...]) -> dict[tuple[str, int], int]:
    wanted = [TopicPartition(topic, partition) for topic, partition in _places(topics)]
    return {(tp.topic, tp.partition): max(tp.offset, 0) for tp in client.committed(wanted, timeout=_SECONDS)}


def _end(client: Consumer, place: tuple[str, int]) -> int:
    _, end = client.get_watermark_offsets(TopicPartition(*place), timeout=_SECONDS)
    return int(end)


def _values(pipeline: Pipeline, topic: str) -> Iterator[str]:
    """The values of a topic as it stands now."""
    client = _client(pipeline, "nobody")
    try:
        ends = {place: _end(client, place) for place in _places((topic,))}
        left = {place for place, end in ends.items() if end}
        client.assign([TopicPartition(*place, 0) for place in left])
        while left:
            message = client.poll(_SECONDS)
            assert message is not None, f"{topic} cannot be read to its end"
            if message.error():
                continue
            yield (message.value() or b"").decode()
            place = (message.topic() or "", message.partition() or 0)
            if (message.offset() or 0) + 1 >= ends[place]:
                left.discard(place)
    finally:
        client.close()
