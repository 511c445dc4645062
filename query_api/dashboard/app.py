"""The dashboard's ASGI app: which address shows which page, and what surrounds them all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final

import httpx
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from query_api.dashboard.api_client import LIMITS, STREAM_LIMITS, STREAM_TIMEOUT, TIMEOUT, ApiClient
from query_api.dashboard.pages import Pages
from query_api.dashboard.relay import relay_stream
from query_api.dashboard.rendering import HERE, Renderer
from query_api.dashboard.security import HEADERS, OwnHostOnly, SecurityHeaders
from query_api.dashboard.shell import Shell
from runtime.health import VERSION, health_router
from runtime.problem import problem_response
from runtime.request_timing import RequestTiming
from runtime.settings import Settings

TITLE: Final = "Ops-Assist dashboard"

log = structlog.get_logger(__name__)


def create_app(settings: Settings, transport: httpx.AsyncBaseTransport | None = None) -> FastAPI:
    """The app. `transport` takes the place of the network in tests.

    Its `state.stopping` is an event; who stops the server sets it first, which ends the open streams.
    """
    url = settings.api_url or f"http://127.0.0.1:{settings.http_port}"
    # No proxy of the environment stands between two parts of one pipeline.
    client = httpx.AsyncClient(base_url=url, timeout=TIMEOUT, limits=LIMITS, transport=transport, trust_env=False)
    streams = httpx.AsyncClient(
        base_url=url, timeout=STREAM_TIMEOUT, limits=STREAM_LIMITS, transport=transport, trust_env=False
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with client, streams:
            yield

    app = FastAPI(title=TITLE, version=VERSION, openapi_url=None, lifespan=lifespan)
    app.state.stopping = asyncio.Event()
    app.state.before_shutdown = [app.state.stopping.set]
    app.add_middleware(OwnHostOnly, host=settings.host)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(RequestTiming)
    api = ApiClient(client)
    shell = Shell(Renderer(settings.environment, settings.api_url or f"http://localhost:{settings.http_port}"))
    _add_pages(app, Pages(api, shell), streams)
    app.include_router(health_router(settings, TITLE, {"api": api.away}))
    app.mount("/static", StaticFiles(directory=HERE / "static", packages=[("runtime", "static/brand")]))
    _add_error_pages(app, shell)
    return app


def wants_html(request: Request) -> bool:
    """Whether a browser asks; programs get JSON at `/` as from every other service (CONTRACT 1)."""
    return "text/html" in request.headers.get("accept", "")


def _add_pages(app: FastAPI, pages: Pages, streams: httpx.AsyncClient) -> None:
    @app.get("/", response_model=None)
    async def root(request: Request) -> Response | dict[str, str]:
        if not wants_html(request):
            return {"message": TITLE, "status": "online", "version": VERSION}
        answer = await pages.incidents.show(request)
        answer.headers["Vary"] = "Accept"
        return answer

    app.add_api_route("/", pages.incidents.change, methods=["POST"])
    app.add_api_route("/incidents/{incident_id:int}", pages.incident.show)
    app.add_api_route("/incidents/{incident_id:int}", pages.incident.change, methods=["POST"])
    app.add_api_route("/incidents/{incident_id:int}/correction", pages.incident.correct, methods=["POST"])
    app.add_api_route("/services", pages.services.show)
    app.add_api_route("/services/{service:path}", pages.services.show_one)
    app.add_api_route("/pipeline", pages.pipeline.show)
    app.add_api_route("/try", pages.trying.show)
    app.add_api_route("/try", pages.trying.send, methods=["POST"])

    @app.get("/api/v1/incidents/stream")
    async def stream(request: Request) -> Response:
        return await relay_stream(request, streams, app.state.stopping)


def _add_error_pages(app: FastAPI, shell: Shell) -> None:
    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        if not wants_html(request):
            return problem_response(error.status_code, str(error.detail), headers=error.headers)
        if error.status_code == HTTPStatus.NOT_FOUND:
            return shell.message(404, "There is no such page", f"Nothing is at {request.url.path}.")
        return shell.message(error.status_code, HTTPStatus(error.status_code).phrase, str(error.detail))

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> Response:
        log.error("page_failed", method=request.method, path=request.url.path, exc_info=error)
        detail = "Something went wrong on our side. It was logged; please try again."
        answer = shell.message(500, "The page failed", detail) if wants_html(request) else problem_response(500, detail)
        # This handler runs outside of the middleware that adds them elsewhere.
        answer.headers.update({**HEADERS, "Cache-Control": "no-store"})
        return answer
