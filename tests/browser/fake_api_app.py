"""The API in memory as an ASGI app, with its stream of changes."""

import asyncio
from collections.abc import AsyncIterator

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from tests.unit.query_api.dashboard.fake_api import Call, FakeApi


class FakeApiApp:
    """Serves a FakeApi; `announce` tells every open stream that something changed."""

    def __init__(self, api: FakeApi) -> None:
        self.api = api
        self.app = FastAPI(openapi_url=None)
        self._streams: dict[asyncio.Queue[bytes], asyncio.AbstractEventLoop] = {}
        self.app.add_api_route("/api/v1/incidents/stream", self._stream)
        self.app.add_api_route("/{path:path}", self._answer, methods=["GET", "PATCH", "POST"])

    @property
    def open_streams(self) -> int:
        """How many readers there are."""
        return len(self._streams)

    def announce(self, incident_id: int) -> None:
        """Tell all readers, from the test's thread."""
        data = f'event: incident\nid: {incident_id}\ndata: {{"id": {incident_id}}}\n\n'.encode()
        for queue, loop in list(self._streams.items()):
            loop.call_soon_threadsafe(queue.put_nowait, data)

    async def _stream(self) -> Response:
        return StreamingResponse(self._changes(), media_type="text/event-stream")

    async def _changes(self) -> AsyncIterator[bytes]:
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        self._streams[queue] = asyncio.get_running_loop()
        try:
            yield b": welcome\n\n"
            while True:
                yield await queue.get()
        finally:
            del self._streams[queue]

    async def _answer(self, request: Request) -> Response:
        headers = {name.decode(): value.decode() for name, value in request.headers.raw}
        params, names = request.query_params, request.query_params.getlist("service")
        call = Call(request.method, request.url.path, dict(params), headers, await request.body(), names)
        reply = self.api.answer(call)
        return JSONResponse(reply.body, reply.status, reply.headers)
