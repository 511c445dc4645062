"""`python -m benchmarks.view_sizes [INCIDENTS EVENTS]`: bytes of a row with its indexes in a view that is large enough.

Fills a PostgreSQL of its own with incidents, events and links (see `benchmarks.view_filling`).
"""

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Final

import asyncpg

from benchmarks.view_filling import fill
from deploy.postgres import EmbeddedPostgres
from query_api.migrate import migrate

_SERVICES: Final = 2_000
_SIZE: Final = """
    SELECT sum(pg_total_relation_size(relid))
    FROM (SELECT relid FROM pg_partition_tree($1::text::regclass) UNION SELECT $1::text::regclass) parts
"""


async def print_sizes(url: str) -> None:
    """Bytes of a row of each large table with its indexes, and of the text of an event."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("VACUUM ANALYZE")
        for table in ("events", "incident_events", "incidents"):
            size = float(await connection.fetchval(_SIZE, table))
            rows = await connection.fetchval(f"SELECT count(*) FROM {table}")  # noqa: S608 - names of our own
            print(f"{table}: {rows:,} rows, {size / max(rows, 1):,.0f} bytes a row with its indexes")  # noqa: T201
        json = "SELECT avg(length(row_to_json(e)::text)) FROM (SELECT * FROM events LIMIT 10000) e"
        print(f"an event as JSON: {await connection.fetchval(json):,.0f} bytes")  # noqa: T201
    finally:
        await connection.close()


async def _run(url: str, incidents: int, events: int) -> None:
    await migrate(url)
    await fill(url, incidents, events, _SERVICES)
    await print_sizes(url)


def main() -> None:
    """Fill and print."""
    incidents, events = (int(text) for text in sys.argv[1:3]) if len(sys.argv) > 2 else (100_000, 2_000_000)  # noqa: PLR2004 - the two numbers of the usage
    with tempfile.TemporaryDirectory() as directory:
        postgres = EmbeddedPostgres(Path(directory), fast=True)
        postgres.start()
        try:
            asyncio.run(_run(postgres.url, incidents, events))
        finally:
            postgres.stop()


if __name__ == "__main__":
    main()
