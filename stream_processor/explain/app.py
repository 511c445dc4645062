"""The explain route as an ASGI app of its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import httpx
from fastapi import FastAPI

from runtime import api_docs, problem
from runtime.health import VERSION, health_router
from runtime.request_timing import RequestTiming
from runtime.settings import Settings
from stream_processor.explain.routes import router
from stream_processor.explain.rules_on_demand import RulesOnDemand
from stream_processor.explain.source import QueryApi

TITLE: Final = "Ops-Assist explain"
_TIMEOUT: Final = httpx.Timeout(30.0, connect=2.0)


def create_app(settings: Settings, transport: httpx.AsyncBaseTransport | None = None) -> FastAPI:
    """The app.

    Args:
        settings: RULES as the processor has it, and API_URL: where the query API answers.
        transport: the way to a query API that lives in this process; API_URL is not looked at then.
    """
    url = settings.api_url or f"http://127.0.0.1:{settings.http_port}"
    client = httpx.AsyncClient(transport=transport, base_url=url, timeout=_TIMEOUT, trust_env=False)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with client:
            yield

    async def query_api() -> str | None:
        try:
            answer = await client.get("/readyz")
        except httpx.HTTPError as error:
            return f"no answer from {url}: {str(error) or type(error).__name__}"
        return None if answer.is_success else f"{url} is not ready"

    app = FastAPI(title=TITLE, version=VERSION, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.add_middleware(RequestTiming)
    problem.install(app)
    app.include_router(health_router(settings, TITLE, {"query_api": query_api}))
    app.include_router(router(QueryApi(client), RulesOnDemand(settings)))
    api_docs.install(app)
    return app
