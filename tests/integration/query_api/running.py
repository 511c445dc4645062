"""Parts of the query API, run inside a test."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn

from query_api.materializer.consumer import Materializer
from runtime.settings import Settings


@asynccontextmanager
async def materializing(settings: Settings) -> AsyncIterator[Materializer]:
    """A materializer that runs for as long as the block."""
    materializer = Materializer(settings)
    running = asyncio.create_task(materializer.run())
    try:
        yield materializer
    finally:
        materializer.stop()
        await running


async def has_started(http: uvicorn.Server) -> bool:
    """For waiting until a server serves."""
    return http.started
