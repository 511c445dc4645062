"""What keeps the view from growing for ever: partitions made ahead and dropped, the rest forgotten."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Final

import asyncpg
import structlog

from query_api.materializer import statements
from query_api.materializer.partitions import OTHER, bounds, name_of, plan
from schemas.topics import EVENTS

CHANGES_KEPT_HOURS: Final = 24
"""How long a live reader may be away and still resume without a gap."""

VISIBLE_HOURS: Final = 24
"""Incidents that opened longer ago than this are not taken for new when they appear."""

MINUTES_KEPT_DAYS: Final = 7
"""How far back the counts by minute go: as far as `ops.events`, so that a view built anew has the same."""

_LINKS_AT_ONCE: Final = 20_000

log = structlog.get_logger(__name__)


async def keep_up(connection: asyncpg.Connection, retention_days: int) -> bool:
    """Do what is due; gives whether there is more to do soon.

    Raises:
        OSError, asyncpg.PostgresError, asyncpg.InterfaceError: where the database is away.
    """
    await _keep_partitions(connection, retention_days)
    await connection.execute(statements.FORGET_CHANGES, CHANGES_KEPT_HOURS)
    await connection.execute(statements.FORGET_MINUTES, MINUTES_KEPT_DAYS)
    # An hour more: clocks may differ, and what is forgotten must be too old to be taken for new again.
    await connection.execute(statements.FORGET_VISIBLE, VISIBLE_HOURS + 1)
    return await _forget_links(connection)


async def _keep_partitions(connection: asyncpg.Connection, retention_days: int) -> None:
    """Each in a transaction of its own, one materializer at a time: readers wait for a moment at most."""
    async with connection.transaction():
        await connection.execute(statements.UPKEEP_LOCK)
        existing = [row["name"] for row in await connection.fetch(statements.PARTITIONS)]
        wanted = plan(existing, datetime.now(UTC), retention_days)
        for day in wanted.create:
            await _create(connection, day)
        await _drop(connection, wanted.drop)
        await connection.execute(f"DELETE FROM {OTHER} WHERE received_at < $1", wanted.cutoff)  # noqa: S608 - a constant


async def _create(connection: asyncpg.Connection, day: date) -> None:
    """Made apart and attached when it holds what the partition of the others had of its day."""
    name, (start, end) = name_of(day), bounds(day)
    await connection.execute(f"CREATE TABLE {name} (LIKE events INCLUDING DEFAULTS INCLUDING CONSTRAINTS)")
    await connection.execute(
        f"WITH moved AS (DELETE FROM {OTHER} WHERE received_at >= $1 AND received_at < $2 RETURNING *)"  # noqa: S608
        f" INSERT INTO {name} SELECT * FROM moved",
        start,
        end,
    )
    await connection.execute(
        f"ALTER TABLE events ATTACH PARTITION {name} FOR VALUES FROM ('{start.isoformat()}') TO ('{end.isoformat()}')"
    )


async def _drop(connection: asyncpg.Connection, names: Sequence[str]) -> None:
    for name in names:
        await connection.execute(f"DROP TABLE {name}")
        log.info("events_dropped", partition=name)


async def _forget_links(connection: asyncpg.Connection) -> bool:
    async with connection.transaction():
        await connection.execute(statements.WRITER_LOCK)
        done = await connection.execute(statements.FORGET_LINKS, EVENTS, _LINKS_AT_ONCE)
    return int(done.rpartition(" ")[2]) >= _LINKS_AT_ONCE  # more where a place has links of several rules
