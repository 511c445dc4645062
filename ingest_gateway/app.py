"""The gateway as an ASGI app."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from fastapi import FastAPI

from ingest_gateway.budget import Budget
from ingest_gateway.event_log import EventLog
from ingest_gateway.format_routes import format_routes
from ingest_gateway.kafka_log import KafkaEventLog
from ingest_gateway.openapi import describe
from ingest_gateway.routes import event_routes
from runtime import api_docs, problem
from runtime.health import VERSION, health_router
from runtime.settings import Settings

TITLE: Final = "Ops-Assist ingest gateway"


def create_app(settings: Settings, log: EventLog | None = None) -> FastAPI:
    """The app; it connects to Kafka when its lifespan begins, and starts whether the broker is there or not.

    Args:
        settings: the settings of this process.
        log: where events go; default: the Kafka cluster of the settings.
    """
    event_log = log or KafkaEventLog(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await event_log.start()
        yield
        await event_log.stop()

    app = FastAPI(title=TITLE, version=VERSION, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.budget = Budget(settings.ingest_buffer_bytes)
    problem.install(app)
    # First, because routes are tried in order and these are the ones with load on them.
    budget = app.state.budget
    app.router.routes[:0] = [*event_routes(event_log, budget), *format_routes(event_log, budget)]
    app.include_router(health_router(settings, TITLE, {"broker": event_log.check}))
    describe(app)
    api_docs.install(app)
    return app
