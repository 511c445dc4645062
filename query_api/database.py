"""The way to PostgreSQL for the API: sessions, and one error for every way in which it can be away."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

DRIVER_ERRORS: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    SQLAlchemyError,
)
"""What the drivers raise; `is_away` tells which of them mean that the database is away."""

_CONNECT_SECONDS: Final = 5
_STATEMENT_SECONDS: Final = 15
_POOL: Final = 10

# Class 08: connection; 53: out of resources; 57: shutting down, starting up; 3D000: no such database;
# 42P01: the schema is not there yet (PostgreSQL documentation, appendix A).
_AWAY_STATES: Final = ("08", "53", "57", "3D000", "42P01")


class DatabaseAway(Exception):  # noqa: N818 - reads as what it is
    """PostgreSQL cannot be reached, or is not migrated yet; the text says which."""


def dsn(database_url: str) -> str:
    """The address in the form that asyncpg takes, whatever driver it names."""
    _, separator, rest = database_url.partition("://")
    return f"postgresql://{rest}" if separator else database_url


async def connect(database_url: str) -> asyncpg.Connection:
    """A connection of its own, outside the pool.

    Raises:
        DatabaseAway: where there is none to be had.
    """
    try:
        return await asyncpg.connect(dsn(database_url), timeout=_CONNECT_SECONDS, command_timeout=_STATEMENT_SECONDS)
    except DRIVER_ERRORS as error:
        raise DatabaseAway(_sentence(error)) from error


class Database:
    """The pool of one process. It connects when first used, so that the process starts without PostgreSQL."""

    def __init__(self, database_url: str) -> None:
        self.url = database_url
        self._engine = create_async_engine(
            "postgresql+asyncpg://",
            async_creator=self._connect,
            pool_size=_POOL,
            max_overflow=_POOL,
            pool_timeout=_CONNECT_SECONDS,
            pool_pre_ping=True,
        )

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """A session in one transaction, committed at the end.

        Raises:
            DatabaseAway: where the database cannot be reached or goes away meanwhile.
        """
        try:
            async with AsyncSession(self._engine, expire_on_commit=False) as session, session.begin():
                yield session
        except DRIVER_ERRORS as error:
            if not is_away(error):
                raise
            raise DatabaseAway(_sentence(error)) from error

    async def check(self) -> str | None:
        """None where the database answers and its schema is there, else a sentence that says what is missing."""
        try:
            async with self.session() as session:
                await execute(session, "SELECT 1 FROM incidents LIMIT 1")
        except DatabaseAway as away:
            return str(away)
        return None

    async def close(self) -> None:
        """Give every connection back."""
        await self._engine.dispose()

    async def _connect(self) -> Any:
        return await asyncpg.connect(
            dsn(self.url), timeout=_CONNECT_SECONDS, command_timeout=_STATEMENT_SECONDS, statement_cache_size=256
        )


async def execute(session: AsyncSession, statement: str, **parameters: Any) -> None:
    """Run a statement of SQL that gives no rows worth having, within the session's transaction."""
    await (await session.connection()).execute(text(statement), parameters)


async def driver_execute(session: AsyncSession, statement: str, *parameters: Any) -> None:
    """Run one of the materializer's statements, with the driver's own parameters, within the session's transaction."""
    connection = await (await session.connection()).get_raw_connection()
    driver: Any = connection.driver_connection
    await driver.execute(statement, *parameters)


def is_away(error: BaseException) -> bool:
    """Whether an error means that the database is away, rather than that a statement is wrong."""
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or is_away(_driver_error(error))
    if isinstance(error, asyncpg.PostgresError):
        return str(error.sqlstate).startswith(_AWAY_STATES)
    if isinstance(error, ValueError):  # asyncpg's own DataError is an InterfaceError too: the values are wrong
        return False
    # InternalClientError: a connection that broke in the middle of an answer and was not told yet that it did.
    broken = asyncpg.InterfaceError | asyncpg.InternalClientError
    return isinstance(error, OSError | TimeoutError | broken | PoolTimeout | DatabaseAway)


def _driver_error(error: DBAPIError) -> BaseException:
    return error.orig.__cause__ or error.orig if error.orig else RuntimeError("no driver error")


def _sentence(error: BaseException) -> str:
    cause = _driver_error(error) if isinstance(error, DBAPIError) else error
    if isinstance(cause, asyncpg.PostgresError) and cause.sqlstate == "42P01":
        return "the database has no schema yet; run python -m query_api.migrate"
    return f"the database cannot be reached ({str(cause) or type(cause).__name__})"
