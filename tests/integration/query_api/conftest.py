"""A migrated database for each test, and ways to fill it and to run the API and the materializer on it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import asyncpg
import httpx2
import pytest

from query_api.app import create_app
from query_api.materializer.store import Store
from query_api.migrate import migrate
from runtime.health import server
from runtime.settings import Settings, load_settings
from tests.integration.query_api.running import has_started
from tests.support.databases import Databases
from tests.support.waiting import eventually
from tests.unit.query_api.view_records import Fill, Log, Rows

Serve = Callable[..., Awaitable[httpx2.AsyncClient]]


@pytest.fixture(scope="session")
def migrated_template(databases: Databases) -> str:
    """A database with the newest schema, to copy."""
    url = databases.create()
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, migrate(url)).result()
    return url


@pytest.fixture
def view_url(databases: Databases, migrated_template: str) -> Iterator[str]:
    """The address of an empty view."""
    url = databases.create(migrated_template)
    yield url
    databases.drop(url)


@pytest.fixture
async def store(view_url: str) -> AsyncIterator[Store]:
    """A writer of the view."""
    store = Store(view_url)
    yield store
    await store.close()


@pytest.fixture
def fill(store: Store) -> Fill:
    """Writes into the view what a log has beyond what the view has read of it."""

    async def write(log: Log) -> None:
        await store.apply(log.batch(await store.positions(log.records)))

    return write


@pytest.fixture
async def rows(view_url: str) -> AsyncIterator[Rows]:
    """Gives the rows of a query."""
    connection = await asyncpg.connect(view_url)

    async def fetch(query: str) -> list[dict[str, Any]]:
        return [dict(row) for row in await connection.fetch(query)]

    yield fetch
    await connection.close()


@pytest.fixture
def view_settings(view_url: str) -> Settings:
    """Settings with the view and without Kafka."""
    return load_settings(_env_file=None, database_url=view_url, kafka_bootstrap_servers="127.0.0.1:1")


@pytest.fixture
def settings(kafka_settings: Settings, view_url: str) -> Settings:
    """The module's Kafka and the test's view."""
    return kafka_settings.model_copy(update={"database_url": view_url})


@pytest.fixture
async def serve(view_url: str) -> AsyncIterator[Serve]:
    """Serves the API for some settings on a free port and gives a client for it."""
    del view_url  # asked for so that the API is gone before its database is
    async with AsyncExitStack() as stack:

        async def run(settings: Settings, **options: Any) -> httpx2.AsyncClient:
            return await stack.enter_async_context(_served(settings, options))

        yield run


@asynccontextmanager
async def _served(settings: Settings, options: dict[str, Any]) -> AsyncIterator[httpx2.AsyncClient]:
    make = options.pop("make", create_app)
    http = server(make(settings, **options), settings, 0)
    serving = asyncio.create_task(http.serve())
    await eventually(lambda: has_started(http), what="the start of the API")
    port = http.servers[0].sockets[0].getsockname()[1]
    try:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            yield client
    finally:
        http.should_exit = True
        await serving


@pytest.fixture
async def api(serve: Serve, view_settings: Settings) -> httpx2.AsyncClient:
    """A client of the API on the view, without Kafka."""
    return await serve(view_settings)
