"""The query API as an ASGI app."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from query_api.database import Database, DatabaseAway
from query_api.live import Live
from query_api.pipeline import Pipeline
from query_api.publisher import BrokerAway, Publisher
from query_api.routes import (
    analyze,
    bulk_status,
    correct,
    counts,
    events,
    feed,
    incidents,
    pipeline,
    service_events,
    service_list,
    similar,
    status,
    stream,
)
from query_api.vigil import ViewSightings
from runtime import api_docs, problem
from runtime.health import VERSION, health_router
from runtime.request_timing import RequestTiming
from runtime.request_tracing import RequestTracing
from runtime.settings import Settings

TITLE: Final = "Ops-Assist query API"
_RETRY_AFTER: Final = {"Retry-After": "5"}


def create_app(settings: Settings, *, analyze_seconds: float = analyze.WAIT_SECONDS) -> FastAPI:
    """The app. It starts without PostgreSQL and Kafka, answers 503 meanwhile and finds them when they come.

    Args:
        settings: where PostgreSQL and Kafka are.
        analyze_seconds: how long POST analyze waits for the analysis.
    """
    database = Database(settings.database_url)
    publisher = Publisher(settings)
    live = Live(database)
    operators_view = Pipeline(settings, ViewSightings(database))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        publisher.start()
        live.start()
        operators_view.start()
        try:
            yield
        finally:
            await live.stop()
            await publisher.stop()
            await operators_view.close()
            await database.close()

    app = FastAPI(title=TITLE, version=VERSION, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.before_shutdown = [live.end_streams]
    app.add_middleware(RequestTiming)
    app.add_middleware(RequestTracing, service="query_api")
    problem.install(app)
    app.add_exception_handler(DatabaseAway, _database_away)
    app.add_exception_handler(BrokerAway, _broker_away)
    app.include_router(health_router(settings, TITLE, {"postgresql": database.check, "kafka": publisher.check}))
    for router in (
        stream.router(live),  # these before /incidents/{incident_id}, which takes any word for an id
        counts.router(database),
        feed.router(database),
        bulk_status.router(database, publisher),
        similar.router(database),
        incidents.router(database),
        status.router(database, publisher),
        correct.router(database, publisher),
        analyze.router(database, publisher, live, analyze_seconds),
        events.router(database),
        service_events.router(database),
        service_list.router(database),
        pipeline.router(operators_view),
    ):
        app.include_router(router)
    api_docs.install(app)
    _describe(app)
    return app


def _describe(app: FastAPI) -> None:
    """Leave out of the document the 422 that FastAPI adds by itself: errors are problems, and a route names its own."""
    document = app.openapi()
    for operations in document["paths"].values():
        for operation in operations.values():
            if "application/json" in operation["responses"].get("422", {}).get("content", {}):
                del operation["responses"]["422"]
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)


def _database_away(_: Request, error: Exception) -> JSONResponse:
    return problem.problem_response(503, f"The view is not there: {error}; please try again", headers=_RETRY_AFTER)


def _broker_away(_: Request, error: Exception) -> JSONResponse:
    detail = f"Kafka did not take the change, and nothing was changed ({error}); please try again"
    return problem.problem_response(503, detail, headers=_RETRY_AFTER)
