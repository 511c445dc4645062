"""The gateway as an ASGI app."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from fastapi import FastAPI

from ingest_gateway.budget import Budget
from ingest_gateway.canary import Canary
from ingest_gateway.event_log import EventLog
from ingest_gateway.format_routes import format_routes
from ingest_gateway.kafka_log import KafkaEventLog
from ingest_gateway.openapi import describe
from ingest_gateway.routes import event_routes
from ingest_gateway.syslog_listener import SyslogListener
from runtime import api_docs, problem
from runtime.health import VERSION, health_router
from runtime.settings import Settings

TITLE: Final = "Ops-Assist ingest gateway"
_SYSLOG_GRACE: Final = 2.0
"""Seconds for what syslog has brought, once requests under way are answered; it was told to end with them."""


def create_app(settings: Settings, log: EventLog | None = None) -> FastAPI:
    """The app; it connects to Kafka when its lifespan begins, and starts whether the broker is there or not.

    Args:
        settings: the settings of this process.
        log: where events go; default: the Kafka cluster of the settings.
    """
    event_log = log or KafkaEventLog(settings)
    canary = Canary(settings, event_log)
    syslog = SyslogListener(settings, event_log)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await event_log.start()
        await syslog.start()
        canary.start()
        yield
        await canary.stop()
        await syslog.stop(_SYSLOG_GRACE)
        await event_log.stop()

    app = FastAPI(title=TITLE, version=VERSION, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.canary = canary
    app.state.budget = Budget(settings.ingest_buffer_bytes)
    app.state.before_shutdown = [syslog.close]
    problem.install(app)
    # First, because routes are tried in order and these are the ones with load on them.
    budget = app.state.budget
    app.router.routes[:0] = [*event_routes(event_log, budget, canary.token), *format_routes(event_log, budget)]
    checks = {"broker": event_log.check} | ({"syslog": syslog.check} if syslog.is_wanted else {})
    app.include_router(health_router(settings, TITLE, checks))
    describe(app)
    api_docs.install(app)
    return app
