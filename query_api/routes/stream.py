"""Server-sent events: one per change of an incident, resumable."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

import structlog
from fastapi import APIRouter, Header
from fastapi.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from query_api.database import DatabaseAway
from query_api.live import RESET, Listener, Live
from query_api.routes.common import AWAY

log = structlog.get_logger(__name__)

_SLOW_SECONDS: Final = 30.0
"""How long one message may wait for its reader's network before the stream is given up."""

_HELLO: Final = b": connected\nretry: 1000\n\n"
_HEADERS: Final = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
_EXAMPLE: Final = 'event: incident\ndata: {"id": 1, "status": "open", "change": "opened"}\nid: 17\n\n'


_STREAM: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "`event: incident` for every change; `event: reset` where a resume would have a gap.",
        "content": {"text/event-stream": {"example": _EXAMPLE}},
    }
}


class BoundedResponse(StreamingResponse):
    """An endless answer that gives up on a reader who does not read."""

    media_type = "text/event-stream"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; ends quietly where a message cannot be handed over in time."""

        async def bounded(message: Message) -> None:
            async with asyncio.timeout(_SLOW_SECONDS):
                await send(message)

        try:
            await super().__call__(scope, receive, bounded)
        except TimeoutError:
            log.info("slow_reader_dropped")


def router(live: Live) -> APIRouter:
    """The route of live changes."""
    routes = APIRouter(prefix="/api/v1/incidents", tags=["incidents"])

    @routes.get(
        "/stream",
        response_class=BoundedResponse,
        summary="Follow changes",
        responses=_STREAM | AWAY,
    )
    async def stream(
        last_event_id: Annotated[str | None, Header(description="Resume after this id.")] = None,
    ) -> BoundedResponse:
        """The data of an event is the incident as lists show it, with `change`: what happened to it."""
        listener = live.listen()
        return BoundedResponse(_messages(live, listener, last_event_id), headers=_HEADERS)

    return routes


async def _messages(live: Live, listener: Listener, last_event_id: str | None) -> AsyncIterator[bytes]:
    try:
        yield _HELLO
        async for message in _missed(live, listener, last_event_id):
            yield message
        async for message in listener.messages():
            yield message
    except DatabaseAway:
        return  # the client comes back with the last id that it has
    finally:
        live.forget(listener)


async def _missed(live: Live, listener: Listener, last_event_id: str | None) -> AsyncIterator[bytes]:
    if last_event_id is None or not last_event_id.strip():
        return
    if not last_event_id.isdecimal():
        yield RESET
        return
    async for message in live.missed(min(int(last_event_id), 2**62), listener.since):
        yield message
