"""Dropping the view and filling it again from the topics: the same view, with the same integer ids."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

import asyncpg
import msgspec

from query_api.database import connect
from query_api.materializer import statements
from query_api.materializer.batch import TOPICS, Source
from query_api.materializer.consumer import Materializer
from query_api.models import METADATA, IncidentIdRow, IncidentVisibilityRow
from runtime.kafka import reader
from runtime.settings import Settings
from schemas.codec import decode_incident
from schemas.timestamps import to_datetime
from schemas.topics import INCIDENTS

_LOOK_SECONDS: Final = 0.2
_POLL_MS: Final = 500
_TRIES: Final = 5

# Offsets first: whoever writes a batch begins with them, so that no batch is in the middle when the rest goes.
_KEPT: Final = {IncidentIdRow.__tablename__, IncidentVisibilityRow.__tablename__}
_EMPTIED: Final = ("consumer_offsets", *sorted(METADATA.tables.keys() - {"consumer_offsets"} - _KEPT))

_NUMBER: Final = """
    INSERT INTO incident_ids (key, id)
    SELECT key, (SELECT COALESCE(max(id), 0) FROM incident_ids) + row_number() OVER (ORDER BY created_at, key)
    FROM unnest($1::text[], $2::timestamptz[]) AS w (key, created_at)
    ON CONFLICT (key) DO NOTHING
"""
_UNKNOWN: Final = """
    SELECT key FROM unnest($1::text[]) AS w (key) WHERE NOT EXISTS (SELECT FROM incident_ids n WHERE n.key = w.key)
"""
_ROWS: Final = """
    SELECT (SELECT count(*) FROM incidents) AS incidents, (SELECT count(*) FROM events) AS events,
        (SELECT count(*) FROM analyses) AS analyses
"""

Watch = Callable[[str, int, int], None]
"""Told what is done, how many records are done and how many there are."""


class Rebuilt(msgspec.Struct, frozen=True):
    """What the view holds after a rebuild, and who filled it."""

    incidents: int
    events: int
    analyses: int
    numbered: int
    """Incidents that got an integer id by the rebuild: those that the database did not know before."""
    by_running_materializer: bool


class ViewInUse(Exception):  # noqa: N818 - reads as what it is
    """The view could not be emptied: others held its tables again and again."""


async def rebuild(settings: Settings, watch: Watch) -> Rebuilt:
    """Empty the view and fill it up to where the topics end now.

    A materializer that runs does the filling: it finds its offsets gone and begins anew. Where none runs, this process
    is one for as long as it takes; one that starts meanwhile shares the work.

    Raises:
        DatabaseAway, OSError, asyncpg.PostgresError: where the database is away or refuses.
        KafkaError: where Kafka is away.
        ViewInUse: where the view could not be emptied.
    """
    connection = await connect(settings.database_url)
    try:
        ends = await _ends(settings)
        numbered = await _number(settings, connection, watch)
        running = bool(await connection.fetchval(statements.MATERIALIZERS))
        await _empty(connection)
        if running:
            await _filled(connection, ends, watch)
        else:
            await _fill(settings, connection, ends, watch)
        rows = await connection.fetchrow(_ROWS)
        return Rebuilt(**dict(rows), numbered=numbered, by_running_materializer=running)
    finally:
        await connection.close()


async def _ends(settings: Settings) -> dict[Source, int]:
    """Where each partition that holds anything ends."""
    async with reader(settings, *TOPICS) as consumer:
        partitions = list(consumer.assignment())
        starts, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
    return {Source(*partition): end for partition, end in ends.items() if end > starts[partition]}


async def _number(settings: Settings, connection: asyncpg.Connection, watch: Watch) -> int:
    """Give ids to the incidents of the topic that have none, in the order in which they opened.

    Nothing to do where the database kept them. Where it was lost, the order makes the ids a function of the topic.
    """
    opened: dict[str, Any] = {}
    async with reader(settings, INCIDENTS) as consumer:
        ends = await consumer.end_offsets(list(consumer.assignment()))
        done, total = 0, sum(ends.values()) - sum((await consumer.beginning_offsets(list(ends))).values())
        while any([await consumer.position(partition) < end for partition, end in ends.items()]):
            records = [r for found in (await consumer.getmany(timeout_ms=_POLL_MS)).values() for r in found]
            opened |= await _unknown(connection, _openings(records))
            done += len(records)
            watch("reading incidents", min(done, total), total)
    async with connection.transaction():
        await connection.execute(statements.WRITER_LOCK)
        numbered = await connection.execute(_NUMBER, list(opened), list(opened.values()))
    return int(numbered.rpartition(" ")[2])


def _openings(records: list[Any]) -> dict[str, Any]:
    found = {}
    for record in records:
        try:
            incident = decode_incident(record.value or b"")
        except (msgspec.MsgspecError, ValueError, RecursionError):
            continue  # the materializer counts it
        found[incident.key] = to_datetime(incident.created_at)
    return found


async def _unknown(connection: asyncpg.Connection, opened: Mapping[str, Any]) -> dict[str, Any]:
    keys = await connection.fetch(_UNKNOWN, list(opened))
    return {row["key"]: opened[row["key"]] for row in keys}


async def _empty(connection: asyncpg.Connection) -> None:
    for _ in range(_TRIES):
        try:
            async with connection.transaction():
                await connection.execute("SET LOCAL lock_timeout = '5s'")
                for table in _EMPTIED:
                    await connection.execute(f"TRUNCATE {table}")
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
            continue
        return
    raise ViewInUse("the view's tables are in use again and again; try when less is going on")


async def _fill(settings: Settings, connection: asyncpg.Connection, ends: Mapping[Source, int], watch: Watch) -> None:
    materializer = Materializer(settings)
    filling = asyncio.create_task(materializer.run())
    watching = asyncio.create_task(_filled(connection, ends, watch))
    try:
        await asyncio.wait((filling, watching), return_when=asyncio.FIRST_COMPLETED)
        if filling.done():
            filling.result()
        await watching
    finally:
        watching.cancel()
        materializer.stop()
        await filling


async def _filled(connection: asyncpg.Connection, ends: Mapping[Source, int], watch: Watch) -> None:
    total = sum(ends.values())
    while True:
        rows = await connection.fetch("SELECT topic, partition, next_offset FROM consumer_offsets")
        reached = {Source(row["topic"], row["partition"]): row["next_offset"] for row in rows}
        done = sum(min(reached.get(source, 0), end) for source, end in ends.items())
        watch("filling the view", done, total)
        if done == total:
            return
        await asyncio.sleep(_LOOK_SECONDS)
