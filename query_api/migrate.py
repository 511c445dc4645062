"""Brings the database's schema up to date: `python -m query_api.migrate`; `--empty` empties the view as well."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from query_api.database import DRIVER_ERRORS, dsn
from query_api.models import METADATA
from runtime.settings import Settings, SettingsError, load_settings

_LOCK: Final = 0x6F70_735F_6D69
"""The advisory lock ("ops_mi") that lets one migration run at a time, whoever starts it."""


def alembic_config() -> Config:
    """Alembic's configuration, found beside this file whatever the working directory."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return config


def newest_revision() -> str:
    """The revision that this version of the code works with."""
    return ScriptDirectory.from_config(alembic_config()).get_current_head() or ""


async def migrate(database_url: str) -> None:
    """Apply the missing steps. Safe to run from several processes at once.

    Raises:
        OSError, asyncpg.PostgresError: where the database cannot be reached or refuses.
    """
    engine = _engine(database_url)
    try:
        async with engine.begin() as connection:
            await connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
            await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()


async def empty_view(database_url: str) -> None:
    """Take every row out of the view, so that it fills again from the start of the topics.

    For a broker that begins empty: offsets of its predecessor would say that its records were read already.
    """
    engine = _engine(database_url)
    try:
        async with engine.begin() as connection:
            await connection.exec_driver_sql(f"TRUNCATE {', '.join(METADATA.tables)}")
    finally:
        await engine.dispose()


def _engine(database_url: str) -> AsyncEngine:
    async def connect() -> Any:
        return await asyncpg.connect(dsn(database_url), timeout=10)

    return create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)


def _upgrade(connection: Connection) -> None:
    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def main(arguments: Sequence[str] | None = None) -> int:
    """Migrate the database of the settings; 0 where it is up to date, else 1 and one line that says why not."""
    parser = argparse.ArgumentParser(prog="query_api.migrate", description="Bring the view's schema up to date.")
    parser.add_argument("--empty", action="store_true", help="empty the view too: the broker has begun anew")
    wanted = parser.parse_args(arguments)
    try:
        settings = load_settings()
        _check(settings)
        asyncio.run(_run(settings.database_url, empty=wanted.empty))
    except SettingsError as error:
        sys.stderr.write(f"query_api.migrate: {error}\n")
        return 1
    except DRIVER_ERRORS as error:
        sys.stderr.write(f"query_api.migrate: the database cannot be reached or refused: {error}\n")
        return 1
    return 0


async def _run(database_url: str, *, empty: bool) -> None:
    await migrate(database_url)
    if empty:
        await empty_view(database_url)


def _check(settings: Settings) -> None:
    if not settings.database_url:
        raise SettingsError("DATABASE_URL is not set; give it as postgresql://user:password@host:port/name")


if __name__ == "__main__":
    sys.exit(main())
