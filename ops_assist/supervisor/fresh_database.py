"""An empty database for a broker that begins empty: what was read from the one before must not be taken for its."""

from typing import Final
from urllib.parse import urlsplit

import asyncpg

NAME: Final = "ops_assist_embedded"


async def fresh_database(url: str) -> str:
    """Make the database anew on the server of `url`; gives its address.

    Raises:
        OSError, asyncpg.PostgresError: the server cannot be reached or refuses.
    """
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f'DROP DATABASE IF EXISTS "{NAME}" WITH (FORCE)')
        await connection.execute(f'CREATE DATABASE "{NAME}"')
    finally:
        await connection.close()
    return urlsplit(url)._replace(path=f"/{NAME}").geturl()
