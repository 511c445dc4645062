"""The schema: made by the migrations, the same as the models, by however many processes at once."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from query_api.migrate import _engine, alembic_config, empty_view, migrate
from query_api.models import METADATA
from tests.unit.query_api.view_records import Fill, Log, Rows, event, incident


async def test_migrations_make_what_the_models_say(view_url: str) -> None:
    """Alembic finds no difference between the migrated database and the models."""
    engine = _engine(view_url)

    async with engine.connect() as connection:
        differences = await connection.run_sync(_differences)
    await engine.dispose()

    assert differences == []


def _differences(connection: Connection) -> list[Any]:
    options = {"compare_type": True, "include_name": _is_no_partition}
    found: list[Any] = compare_metadata(MigrationContext.configure(connection, opts=options), METADATA)
    return found


def _is_no_partition(name: str | None, kind: str, _: Any) -> bool:
    return kind != "table" or not str(name).startswith("events_")


async def test_many_at_once(database_url: str) -> None:
    """Processes that start together wait for each other; each finds the schema done."""
    await asyncio.gather(*(migrate(database_url) for _ in range(4)))
    await migrate(database_url)


def test_from_any_directory(database_url: str, tmp_path: Path) -> None:
    """The command finds its steps wherever it is called from."""
    done = _run(database_url, tmp_path)
    emptied = _run(database_url, tmp_path, "--empty")

    assert [(run.returncode, run.stderr) for run in (done, emptied)] == [(0, "")] * 2


def test_says_in_one_line_what_is_wrong(tmp_path: Path) -> None:
    """Without a database it fails with one clear line."""
    unreachable = _run("postgresql://x@127.0.0.1:1/x", tmp_path)
    unset = _run("", tmp_path)

    assert (unreachable.returncode, unset.returncode) == (1, 1)
    assert "cannot be reached" in unreachable.stderr
    assert "DATABASE_URL" in unset.stderr
    assert [text.count("\n") for text in (unreachable.stderr, unset.stderr)] == [1, 1]


def _run(url: str, directory: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "query_api.migrate", *options],
        env={"DATABASE_URL": url},
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )


async def test_emptied_view_fills_again(view_url: str, fill: Fill, rows: Rows) -> None:
    """Emptying takes the offsets along, so that the topics are read from their start."""
    log = Log()
    log.events(event())
    log.incidents(incident())
    await fill(log)

    await empty_view(view_url)
    assert await rows("SELECT FROM events UNION ALL SELECT FROM incidents UNION ALL SELECT FROM consumer_offsets") == []
    await fill(log)

    assert await rows("SELECT id FROM incidents") == [{"id": 1}]


async def test_events_of_before_are_counted_when_counting_begins(view_url: str, rows: Rows) -> None:
    """A view from before migration 0003 has its services, and the counts of the last days, from the first moment."""
    await rows(
        """
        INSERT INTO events (partition, record_offset, idx, id, service, level, message, event_time, received_at)
        SELECT 0, n, 0, 'e' || n, 'cart', 'ERROR', 'm', now() - make_interval(days => n), now()
        FROM generate_series(0, 8) n
        """
    )
    engine = _engine(view_url)
    async with engine.begin() as connection:
        await connection.run_sync(_downgrade)
    await engine.dispose()

    await migrate(view_url)

    assert await rows("SELECT service, first_event_at < last_event_at AS grew FROM services") == [
        {"service": "cart", "grew": True}
    ]
    assert await rows("SELECT sum(events)::int AS events, count(*) AS minutes FROM service_minutes") == [
        {"events": 7, "minutes": 7}
    ]


def _downgrade(connection: Connection) -> None:
    config = alembic_config()
    config.attributes["connection"] = connection
    command.downgrade(config, "0002")
