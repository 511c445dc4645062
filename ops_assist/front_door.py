"""One origin for the HTTP API: gateway, query API, explain and verify in one process, told apart by method and path."""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx
import uvicorn
import uvloop
from fastapi import FastAPI
from starlette.datastructures import State
from starlette.types import ASGIApp, Receive, Scope, Send

from ingest_gateway.app import create_app as create_gateway
from ops_assist.openapi_merge import merged_document
from ops_assist.route_map import route_map
from query_api.app import create_app as create_query_api
from runtime import api_docs, problem
from runtime.health import VERSION, Check, QuietServer, health_router
from runtime.logging import configure_logging
from runtime.settings import Settings, SettingsError, load_settings
from runtime.stopping import serve_until_told
from runtime.tracing import close_tracing, configure_tracing
from stream_processor.explain.app import create_app as create_explain
from stream_processor.explain.routes import PREFIX, SUFFIX
from stream_processor.verify.app import create_app as create_verify

TITLE: Final = "Ops-Assist"
_CHECK_SECONDS: Final = 1.5
_KEEP_ALIVE_SECONDS: Final = 75  # longer than clients and proxies keep idle connections, so that they end them


class FrontDoor:
    """An ASGI app that hands each request to the app that serves it.

    What an app is asked for is found in a dict by path; only a path that both serve, with other methods, needs a
    closer look. `own` serves `/`, health, metrics and the documents; `explain` the questions why, `verify` whether the
    log agrees; `query` everything that nobody claims, so that its answers 404 and 405 hold for them.
    """

    def __init__(self, own: FastAPI, gateway: FastAPI, query: FastAPI, explain: FastAPI, verify: FastAPI) -> None:
        self._own, self._gateway, self._query, self._explain, self._verify = own, gateway, query, explain, verify
        hooks = [hook for app in (gateway, query) for hook in getattr(app.state, "before_shutdown", ())]
        self.state = State({"before_shutdown": hooks})
        self._own_paths = frozenset(_own_paths(own))  # before its document speaks for the others as well
        document = merged_document(own, {"gateway": gateway, "query": query, "explain": explain, "verify": verify})
        own.openapi = lambda: document  # type: ignore[method-assign]  # FastAPI's documented way
        self._gateway_routes, self._query_routes = route_map(gateway), route_map(query)
        self._verify_routes = route_map(verify)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        app = self._own if scope["type"] == "lifespan" else self._choose(scope["path"], scope.get("method", "GET"))
        await app(scope, receive, send)

    def _choose(self, path: str, method: str) -> ASGIApp:
        if path in self._own_paths:
            return self._own
        methods = self._gateway_routes.methods(path)
        if method in methods:
            return self._gateway
        if path.startswith(PREFIX) and path.endswith(SUFFIX):  # the names of services may hold slashes
            return self._explain
        if self._verify_routes.methods(path):
            return self._verify
        if not methods or method in self._query_routes.methods(path):
            return self._query
        return _method_not_allowed(method, path, methods | self._query_routes.methods(path))


def create_app(settings: Settings) -> FrontDoor:
    """The front door with all apps behind it."""
    query = create_query_api(settings)
    explain = create_explain(settings, httpx.ASGITransport(query))
    verify = create_verify(settings, httpx.ASGITransport(query))
    return join(settings, gateway=create_gateway(settings), query=query, explain=explain, verify=verify)


def join(settings: Settings, *, gateway: FastAPI, query: FastAPI, explain: FastAPI, verify: FastAPI) -> FrontDoor:
    """Put apps behind one door."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[Mapping[str, Any]]:
        async with (
            gateway.router.lifespan_context(gateway) as gateway_state,
            query.router.lifespan_context(query) as query_state,
            explain.router.lifespan_context(explain),
            verify.router.lifespan_context(verify),
        ):
            yield {**(gateway_state or {}), **(query_state or {})}

    own = FastAPI(title=TITLE, version=VERSION, lifespan=lifespan, docs_url=None, redoc_url=None)
    problem.install(own)
    checks = {"ingest_gateway": _readiness_of(gateway), "query_api": _readiness_of(query)}
    own.include_router(health_router(settings, TITLE, checks))
    api_docs.install(own)
    return FrontDoor(own, gateway, query, explain, verify)


def _own_paths(own: FastAPI) -> set[str]:
    assert own.openapi_url is not None
    return {*route_map(own).paths, *api_docs.PATHS, own.openapi_url}


def _readiness_of(app: FastAPI) -> Check:
    """Ask an app's own /readyz, in this process."""

    async def check() -> str | None:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://in-process") as client:
            answer = await asyncio.wait_for(client.get("/readyz"), _CHECK_SECONDS)
        if answer.is_success:
            return None
        return "; ".join(f"{name}: {reason}" for name, reason in answer.json().get("reasons", {}).items())

    return check


def _method_not_allowed(method: str, path: str, allowed: frozenset[str]) -> ASGIApp:
    names = ", ".join(sorted(allowed))
    return problem.problem_response(405, f"{path} does not take {method}; it takes {names}", headers={"Allow": names})


async def serve(configuration: Settings) -> None:
    """Serve on HTTP_PORT until SIGTERM or SIGINT; requests under way are finished first."""
    app = create_app(configuration)
    server = QuietServer(
        uvicorn.Config(
            app,
            configuration.host,
            configuration.http_port,
            http="httptools",
            log_config=None,
            access_log=False,
            lifespan="on",
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        )
    )
    await serve_until_told(server)


def main() -> int:
    """Run the front door; gives the exit code."""
    try:
        configuration = load_settings()
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    configure_logging(configuration, "front_door")
    configure_tracing(configuration, "front_door")
    try:
        uvloop.run(serve(configuration))
    finally:
        close_tracing()
    return 0


if __name__ == "__main__":
    sys.exit(main())
