"""Fresh databases on the PostgreSQL of the test run."""

import asyncio
import itertools
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import asyncpg

from deploy.postgres import EmbeddedPostgres


class Databases:
    """Makes and drops databases; each is empty, or a copy of another."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        self._server = server
        self._numbers = itertools.count(1)

    def create(self, template: str | None = None) -> str:
        """The address of a new database; `template` is the address of one to copy, which nobody may be using."""
        name = f"test_{next(self._numbers)}"
        copied = f' TEMPLATE "{_name(template)}"' if template else ""
        self._execute(f'CREATE DATABASE "{name}"{copied} STRATEGY FILE_COPY')
        return urlsplit(self._server.url)._replace(path=f"/{name}").geturl()

    def drop(self, url: str) -> None:
        """Drop it, whoever is connected."""
        self._execute(f'DROP DATABASE IF EXISTS "{_name(url)}" WITH (FORCE)')

    def _execute(self, statement: str) -> None:
        async def run() -> None:
            connection = await asyncpg.connect(self._server.url)
            try:
                await connection.execute(statement)
            finally:
                await connection.close()

        # In a thread of its own: the caller may be a fixture of an asynchronous test.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, run()).result()


def _name(url: str) -> str:
    return urlsplit(url).path.removeprefix("/")
