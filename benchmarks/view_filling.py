"""A view as large as wanted, written by PostgreSQL itself: rows are functions of their number."""

import sys
import time
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import asyncpg

from query_api.database import dsn
from query_api.materializer.partitions import bounds, name_of
from query_api.materializer.upkeep import keep_up

_CHUNK: Final = 500_000
_DAYS: Final = 7
_PARTITIONS: Final = 6

_INCIDENTS: Final = """
    INSERT INTO incident_ids (key, id) SELECT md5(n::text), n FROM generate_series($1::int, $2::int) n;
"""
_INCIDENT_ROWS: Final = """
    INSERT INTO incidents (
        id, key, version, service, rule, record_status, category, severity, summary, recommended_actions,
        analysis_status, event_count, first_event_at, last_event_at, created_at, updated_at, threshold, window_micros,
        lateness_micros, reason, partition, samples, timeline, minutes)
    SELECT n, md5(n::text), 9, 'service-' || lpad((hashint4(n) & 2147483647) % $3::int || '', 4, '0'), 'error-burst',
        (ARRAY['open','investigating','resolved','closed','closed','closed','closed','resolved'])[1 + n % 8],
        (ARRAY['database_issue','network_issue','disk_issue','memory_issue','other'])[1 + n % 5],
        (ARRAY['P1','P2','P3'])[1 + n % 3],
        CASE WHEN n % 2 = 0 THEN 'The connection pool is exhausted, number ' ELSE 'Requests time out, number ' END
            || n || ' of its kind.',
        ARRAY['Look for queries that hold connections', 'Raise the size of the pool'], 'done', 5 + n % 500,
        t, t + make_interval(secs => n % 3600), t, t + make_interval(secs => n % 7200), 5, 300000000, 0,
        '5 events within 300 s', n % 6, '[[1, 0], [2, 0]]',
        jsonb_build_array(jsonb_build_object('at', extract(epoch FROM t)::bigint * 1000000, 'actor', 'system',
            'what', 'opened', 'reason', '5 events within 300 s', 'to_status', 'open')),
        '[[29000000, {"ERROR": 5}]]'
    FROM generate_series($1::int, $2::int) n,
        LATERAL (SELECT timestamptz '2026-01-01Z' + n * (interval '90 days' / $4::int) AS t) at
"""
_EVENT_ROWS: Final = """
    INSERT INTO {table} (partition, record_offset, idx, id, service, level, message, event_time, received_at)
    SELECT n % 6, n / 6, 0, 'e-' || n, 'service-' || lpad(n % $3::int || '', 4, '0'),
        (ARRAY['ERROR','ERROR','WARNING','INFO'])[1 + n % 4], 'pool exhausted: 50 of 50 in use, request ' || n,
        t - make_interval(secs => n % 60), t
    FROM generate_series($1::bigint, $2::bigint) n, LATERAL (SELECT $4::timestamptz + (n - $1) * $5::interval AS t) at
"""
# Every second event stands under one of the newest incidents; some have thousands of them.
_LINK_ROWS: Final = """
    INSERT INTO incident_events (partition, record_offset, idx, incident_key, event_time)
    SELECT partition, record_offset, idx, md5(($3::int - (n * n) % ($3::int / 5))::text), event_time
    FROM {table}, LATERAL (SELECT record_offset * 6 + partition AS n) number
    WHERE $1::bigint <= record_offset AND record_offset <= $2::bigint AND record_offset % 2 = 0
"""


async def fill(url: str, incidents: int, events: int, services: int) -> None:
    """Write what is missing; indexes that are dear to keep row by row are made at the end."""
    connection: Any = await asyncpg.connect(dsn(url))
    try:
        if await connection.fetchval("SELECT count(*) FROM incident_ids") >= incidents:
            return
        await keep_up(connection, _DAYS)
        await _incidents(connection, incidents, services)
        await _events(connection, incidents, events, services)
        _say("vacuum")
        await connection.execute("VACUUM (ANALYZE)")
    finally:
        await connection.close()


async def _incidents(connection: Any, incidents: int, services: int) -> None:
    for first in range(1, incidents + 1, _CHUNK):
        last = min(first + _CHUNK - 1, incidents)
        await connection.execute(_INCIDENTS, first, last)
        await connection.execute(_INCIDENT_ROWS, first, last, services, incidents)
        _say(f"{last:,} incidents")


async def _events(connection: Any, incidents: int, events: int, services: int) -> None:
    """A day at a time, into a table without indexes; attaching it makes them."""
    per_day, today = events // _DAYS, datetime.now(UTC).date()
    for number in range(_DAYS):
        day = today - timedelta(days=_DAYS - 1 - number)
        await _day(connection, day, (number * per_day, (number + 1) * per_day - 1), (incidents, services))
        _say(f"{(number + 1) * per_day:,} events")


async def _day(connection: Any, day: date, numbers: tuple[int, int], sizes: tuple[int, int]) -> None:
    table, (start, end) = name_of(day), bounds(day)
    incidents, services = sizes
    first, last = numbers
    await connection.execute(f"ALTER TABLE events DETACH PARTITION {table}")
    for index in await connection.fetch("SELECT indexname FROM pg_indexes WHERE tablename = $1", table):
        if not index[0].endswith("_pkey"):
            await connection.execute(f"DROP INDEX {index[0]}")
    await connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT {table}_pkey")
    step = (end - start) / (last - first + 1)
    await connection.execute(_EVENT_ROWS.format(table=table), first, last, services, start, step)
    await connection.execute(_LINK_ROWS.format(table=table), first // _PARTITIONS, last // _PARTITIONS, incidents)
    await connection.execute(
        f"ALTER TABLE events ATTACH PARTITION {table} FOR VALUES FROM ('{start.isoformat()}') TO ('{end.isoformat()}')"
    )


_BEGAN: Final = time.monotonic()


def _say(what: str) -> None:
    sys.stderr.write(f"{time.monotonic() - _BEGAN:6.0f} s  {what}\n")
