"""`python -m benchmarks.services`: what counting events by minute costs the materializer, and what reading it takes.

Fills a PostgreSQL of its own with the counts that 20 million events of many services leave, and with a million
incidents; then measures GET /api/v1/services, GET /api/v1/incidents/counts, and the writing of batches of events with
and without the counting, by turns.
"""

import argparse
import asyncio
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median, quantiles
from typing import Final

import asyncpg
import httpx

from deploy.postgres import EmbeddedPostgres
from query_api.app import create_app
from query_api.materializer import statements
from query_api.migrate import migrate
from runtime.settings import load_settings

BATCH: Final = 5_000

_FILL_SERVICES: Final = """
    INSERT INTO services SELECT 'service-' || n, now() - interval '7 days', now() FROM generate_series(1, $1::int) n
"""
_FILL_MINUTES: Final = """
    INSERT INTO service_minutes
    SELECT 'service-' || s, date_bin('1 minute', now(), 'epoch') - make_interval(mins => m), level, 1 + (s * m) % 5
    FROM generate_series(1, $1::int) s, generate_series(0, $2::int) m, unnest(ARRAY['INFO', 'ERROR']) level
"""
_FILL_INCIDENTS: Final = """
    INSERT INTO incidents (id, key, version, service, rule, record_status, category, severity, summary,
        recommended_actions, analysis_status, event_count, first_event_at, last_event_at, created_at, updated_at,
        threshold, window_micros, lateness_micros, reason, partition, samples, timeline, minutes)
    SELECT n, 'k' || n, 1, 'service-' || n % $2::int, 'error-burst',
        CASE WHEN n % 199 = 0 THEN 'open' ELSE 'closed' END, 'other', 'P' || (1 + n % 3), 's', '{}', 'done', 5,
        now(), now(), now() - make_interval(secs => n), now(), 5, 300000000, 0, 'r', 0, '[]', '[]', '[]'
    FROM generate_series(1, $1::int) n
"""


async def fill(url: str, services: int, minutes: int, incidents: int) -> None:
    """Write the counts and the incidents."""
    connection = await asyncpg.connect(url)
    await connection.execute(_FILL_SERVICES, services)
    await connection.execute(_FILL_MINUTES, services, minutes)
    await connection.execute(_FILL_INCIDENTS, incidents, services)
    events = await connection.fetchval("SELECT sum(events) FROM service_minutes")
    rows = await connection.fetchval("SELECT count(*) FROM service_minutes")
    await connection.execute("VACUUM ANALYZE")
    await connection.close()
    print(f"{services:,} services, {rows:,} counts of {events:,} events, {incidents:,} incidents")  # noqa: T201


async def read(url: str, times: int) -> None:
    """Measure what the dashboard asks for."""
    settings = load_settings(_env_file=None, database_url=url, kafka_bootstrap_servers="127.0.0.1:1")
    app = create_app(settings)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://in-process") as client:
        for path in (
            "/api/v1/services?limit=50",
            "/api/v1/services?limit=50&skip=900&sort=service",
            "/api/v1/services?service=service-7&limit=1&since=" + _hours_ago(24),
            "/api/v1/incidents/counts",
            "/api/v1/incidents/counts?service=service-7",
        ):
            took = []
            for _ in range(times):
                begun = time.perf_counter()
                answer = await client.get(path)
                took.append((time.perf_counter() - begun) * 1_000)
                assert answer.status_code == httpx.codes.OK, answer.text
            p95 = quantiles(took, n=20)[-1]
            print(f"{path:75} p50 {median(took):6.1f} ms  p95 {p95:6.1f} ms  {len(answer.content):,} bytes")  # noqa: T201


async def write(url: str, batches: int) -> None:
    """Measure batches of events with and without the counting, by turns."""
    connection = await asyncpg.connect(url)
    took: dict[str, list[float]] = {"plain": [], "counted": []}
    for number in range(2 * batches):
        kind, statement = (
            ("plain", statements.INSERT_EVENTS),
            ("counted", statements.INSERT_AND_COUNT_EVENTS),
        )[number % 2]
        columns = _columns(number * BATCH)
        begun = time.perf_counter()
        await connection.execute(statement, *columns)
        took[kind].append(time.perf_counter() - begun)
    await connection.close()
    for kind, seconds in took.items():
        print(f"{kind:8} {BATCH / median(seconds):10,.0f} events/s written, batches of {BATCH:,}")  # noqa: T201


def _columns(start: int) -> list[list[object]]:
    now = time.time()
    rows = [
        (0, start + n, 0, f"e{start + n}", f"service-{n % 200}", "ERROR" if n % 10 == 0 else "INFO", "request served")
        for n in range(BATCH)
    ]
    columns: list[list[object]] = [list(column) for column in zip(*rows, strict=True)]
    moments: list[object] = [datetime.fromtimestamp(now + n / BATCH, UTC) for n in range(BATCH)]
    return [*columns, moments, *([None] * BATCH for _ in range(5))]


def _hours_ago(hours: int) -> str:
    return f"{datetime.now(UTC) - timedelta(hours=hours, minutes=-2):%Y-%m-%dT%H:%M:00Z}"


def main() -> None:
    """Run it all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--services", type=int, default=1_000)
    parser.add_argument("--minutes", type=int, default=3_850)
    parser.add_argument("--incidents", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--batches", type=int, default=20)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        postgres = EmbeddedPostgres(Path(directory), fast=True)
        postgres.start()
        try:
            asyncio.run(_run(postgres.url, wanted))
        finally:
            postgres.stop()


async def _run(url: str, wanted: argparse.Namespace) -> None:
    await migrate(url)
    await fill(url, wanted.services, wanted.minutes, wanted.incidents)
    await read(url, wanted.times)
    await write(url, wanted.batches)


if __name__ == "__main__":
    main()
