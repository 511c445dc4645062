"""The API's stream of changes, passed on from the dashboard's own origin, so that pages need no other."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final, Literal

import httpx
import structlog
from fastapi import Request, Response
from starlette.background import BackgroundTask
from starlette.responses import StreamingResponse

from query_api.dashboard.api_client import no_answer
from query_api.dashboard.incident_api import INCIDENTS
from runtime.problem import problem_response

_MEDIA_TYPE: Final = "text/event-stream"

log = structlog.get_logger(__name__)


async def relay_stream(request: Request, client: httpx.AsyncClient, stopping: asyncio.Event) -> Response:
    """Pass the stream on until the API ends it, the browser goes, or this process stops.

    A browser opens an ended stream again by itself, with the id of the last event that it saw.
    """
    headers = {"Accept": _MEDIA_TYPE, "Accept-Encoding": "identity"}
    if last_id := request.headers.get("last-event-id"):
        headers["Last-Event-ID"] = last_id
    try:
        upstream = await client.send(client.build_request("GET", f"{INCIDENTS}/stream", headers=headers), stream=True)
    except httpx.HTTPError as error:
        return problem_response(503, no_answer(error, client.base_url), headers={"Retry-After": "5"})
    if not upstream.is_success or not upstream.headers.get("content-type", "").startswith(_MEDIA_TYPE):
        await upstream.aclose()
        return problem_response(503, f"The API answered {upstream.status_code}.", headers={"Retry-After": "5"})
    return StreamingResponse(
        _until(stopping, upstream),
        media_type=_MEDIA_TYPE,
        headers={"X-Accel-Buffering": "no"},
        background=BackgroundTask(upstream.aclose),
    )


async def _until(stopping: asyncio.Event, upstream: httpx.Response) -> AsyncIterator[bytes]:
    stopped = asyncio.create_task(stopping.wait())
    chunks = upstream.aiter_raw()
    try:
        while data := await _next(chunks, stopped):
            yield data
    except httpx.HTTPError as error:
        log.info("stream_lost", reason=str(error) or type(error).__name__)
    finally:
        stopped.cancel()
        await upstream.aclose()


async def _next(chunks: AsyncIterator[bytes], stopped: "asyncio.Task[Literal[True]]") -> bytes:
    """The next chunk; empty at the end of the stream, or when `stopped` is done before one came."""
    chunk = asyncio.create_task(_first(chunks))
    try:
        await asyncio.wait({chunk, stopped}, return_when=asyncio.FIRST_COMPLETED)
        return chunk.result() if chunk.done() else b""
    finally:
        if not chunk.done():
            chunk.cancel()
            with suppress(asyncio.CancelledError):
                await chunk


async def _first(chunks: AsyncIterator[bytes]) -> bytes:
    return await anext(chunks, b"")
