"""The verify route as an ASGI app of its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import httpx
from fastapi import FastAPI

from runtime import api_docs, problem
from runtime.health import VERSION
from runtime.request_timing import RequestTiming
from runtime.settings import Settings
from stream_processor.explain.rules_on_demand import RulesOnDemand
from stream_processor.verify.routes import router

TITLE: Final = "Ops-Assist verify"
_TIMEOUT: Final = httpx.Timeout(30.0, connect=2.0)


def create_app(settings: Settings, transport: httpx.AsyncBaseTransport) -> FastAPI:
    """The app. `transport`: the way to a query API that lives in this process."""
    client = httpx.AsyncClient(transport=transport, base_url="http://in-process", timeout=_TIMEOUT)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with client:
            yield

    app = FastAPI(title=TITLE, version=VERSION, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.add_middleware(RequestTiming)
    problem.install(app)
    app.include_router(router(client, settings, RulesOnDemand(settings)))
    api_docs.install(app)
    return app
