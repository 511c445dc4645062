"""A batch into PostgreSQL, in one transaction with its offsets, so that a repeat changes nothing."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import asyncpg

from query_api.corrections import INSERT_CORRECTIONS, SHOW_CORRECTIONS
from query_api.database import connect
from query_api.materializer import statements
from query_api.materializer.batch import Batch, Source
from query_api.materializer.rows import OpeningColumns, as_json, columns, openings, term_rows
from query_api.materializer.upkeep import VISIBLE_HOURS, keep_up
from runtime.metrics import MATERIALIZE_SECONDS, ROWS_MATERIALIZED, VISIBLE_SECONDS


class Outrun(Exception):  # noqa: N818 - reads as what it is
    """Another process has moved the offsets of this batch's partitions: they belong to it now."""


class Store:
    """One connection to PostgreSQL, made when needed and made anew after an error."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._connection: asyncpg.Connection | None = None

    async def positions(self, sources: Iterable[Source]) -> dict[Source, int]:
        """The next offset of each source; 0 where the view has read nothing of it.

        Raises:
            DatabaseAway, OSError, asyncpg.PostgresError, asyncpg.InterfaceError: where the database is away.
        """
        topics, partitions = columns(sorted(sources))
        connection = await self._connected()
        await connection.execute(statements.START_OFFSETS, topics, partitions)
        rows = await connection.fetch(statements.KNOWN_OFFSETS, topics, partitions)
        return {Source(row["topic"], row["partition"]): row["next_offset"] for row in rows}

    async def apply(self, batch: Batch) -> None:
        """Write the batch and its offsets, all or nothing.

        Raises:
            Outrun: where the view is no longer where the batch starts; nothing was written.
            DatabaseAway, OSError, asyncpg.PostgresError, asyncpg.InterfaceError: where the database is away.
        """
        connection = await self._connected()
        with MATERIALIZE_SECONDS.time():
            async with connection.transaction():
                seen = []
                await _move_offsets(connection, batch)
                if batch.events:
                    await connection.execute(statements.INSERT_AND_COUNT_EVENTS, *columns(batch.events))
                if batch.incidents or batch.analyses or batch.links or batch.corrections:
                    opened = await _write_incidents(connection, batch)
                    seen += await _note_visible(connection, openings(batch.incidents, opened))
                seen += await _note_visible(connection, batch.canaries)
        for row in seen:
            VISIBLE_SECONDS.labels("canary" if row["canary"] else "incident").observe(row["seconds"])
        for topic, count in batch.records.items():
            ROWS_MATERIALIZED.labels(topic).inc(count)

    async def keep_up(self, retention_days: int) -> bool:
        """Make and drop partitions and forget what is too old; gives whether there is more of it to do soon."""
        return await keep_up(await self._connected(), retention_days)

    async def close(self) -> None:
        """Drop the connection; the next call makes a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    async def _connected(self) -> asyncpg.Connection:
        if self._connection is None or self._connection.is_closed():
            connection = await connect(self._url)
            await connection.execute(statements.PRESENCE_LOCK)
            self._connection = connection
        return self._connection


async def _move_offsets(connection: asyncpg.Connection, batch: Batch) -> None:
    topics, partitions = columns(list(batch.expected))
    rows = await connection.fetch(statements.LOCK_OFFSETS, topics, partitions)
    present = {Source(row["topic"], row["partition"]): row["next_offset"] for row in rows}
    if present != batch.expected:
        raise Outrun(f"expected {batch.expected}, found {present}")
    await connection.execute(statements.SAVE_OFFSETS, topics, partitions, [batch.reached[s] for s in batch.expected])


async def _write_incidents(connection: asyncpg.Connection, batch: Batch) -> set[str]:
    """Gives the keys of the incidents that the view did not have."""
    opened: set[str] = set()
    await connection.execute(statements.WRITER_LOCK)
    changes: list[tuple[int, str]] = []
    if batch.analyses:
        changes += await _write_analyses(connection, batch)
    if batch.incidents:
        updated, inserted = await _write_records(connection, batch)
        changes += _kinds(inserted, "opened") + _kinds(updated, "updated")
        opened = {row["key"] for row in inserted}
    if batch.corrections:
        changes += await _write_corrections(connection, batch)
    if batch.links:
        await _write_links(connection, batch)
    if changes:
        await connection.execute(statements.LOG_CHANGES, *columns(changes))
        await connection.execute(statements.NOTIFY)
    return opened


async def _note_visible(connection: asyncpg.Connection, found: Sequence[OpeningColumns]) -> list[Any]:
    """Gives those that were never seen before, and how long each took."""
    if not found:
        return []
    now = datetime.now(UTC)
    rows: list[Any] = await connection.fetch(statements.NOTE_VISIBLE, *columns(found), now, VISIBLE_HOURS)
    return rows


async def _write_analyses(connection: asyncpg.Connection, batch: Batch) -> list[tuple[int, str]]:
    newer = await connection.fetch(statements.UPSERT_ANALYSES, as_json(batch.analyses))
    keys = [row["incident_key"] for row in newer]
    changed = set(keys)
    terms = term_rows(row for row in batch.analyses if row["incident_key"] in changed)
    await connection.execute(statements.FORGET_TERMS, keys)
    await connection.execute(statements.INSERT_TERMS, as_json(terms))
    shown = await connection.fetch(statements.SHOW_ANALYSES, keys)
    return [(row["id"], "analyzed") for row in shown]


async def _write_corrections(connection: asyncpg.Connection, batch: Batch) -> list[tuple[int, str]]:
    new = await connection.fetch(INSERT_CORRECTIONS, as_json(batch.corrections))
    shown = await connection.fetch(SHOW_CORRECTIONS, sorted({row["incident_key"] for row in new}))
    return [(row["id"], "corrected") for row in shown]


async def _write_records(connection: asyncpg.Connection, batch: Batch) -> tuple[list[Any], list[Any]]:
    """Gives the rows that were updated, and those that are new."""
    rows = as_json(batch.incidents)
    updated = await connection.fetch(statements.UPDATE_INCIDENTS, rows)
    await connection.execute(statements.GIVE_IDS, rows)
    inserted = await connection.fetch(statements.INSERT_INCIDENTS, rows)
    merged = [row["key"] for row in (*updated, *inserted) if row["merged_into"]]
    if merged:
        targets = await _resolve(connection, merged)
        await connection.execute(statements.MOVE_LINKS, list(targets), list(targets.values()))
    return updated, inserted


async def _write_links(connection: asyncpg.Connection, batch: Batch) -> None:
    targets = await _resolve(connection, {link.incident_key for link in batch.links})
    links = [link._replace(incident_key=targets[link.incident_key]) for link in batch.links]
    await connection.execute(statements.INSERT_LINKS, *columns(links))


async def _resolve(connection: asyncpg.Connection, keys: Iterable[str]) -> dict[str, str]:
    rows = await connection.fetch(statements.RESOLVE_MERGES, list(keys))
    return {row["start"]: row["key"] for row in rows}


def _kinds(rows: Iterable[Any], kind: str) -> list[tuple[int, str]]:
    return [(row["id"], "merged" if row["merged_into"] else kind) for row in rows]
