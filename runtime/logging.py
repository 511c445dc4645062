"""Logs of our own: one JSON object a line, or coloured lines on a terminal."""

import logging
import sys
from collections.abc import MutableMapping
from contextlib import AbstractContextManager
from typing import Any

import structlog

from runtime.settings import Settings
from runtime.trace_context import current


def add_trace(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Say which trace a line belongs to, unless it says so itself."""
    context = current()
    if context is not None and "trace_id" not in line:
        line["trace_id"], line["span_id"] = context.trace_id, context.span_id
    return line


def about(topic: str, partition: int, offset: int | None) -> AbstractContextManager[None]:
    """Lines that are logged in the block say which record they are about."""
    place = {"topic": topic, "partition": partition}
    return structlog.contextvars.bound_contextvars(**(place if offset is None else place | {"offset": offset}))


_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    add_trace,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
]


def console_renderer() -> structlog.dev.ConsoleRenderer:
    """Lines for people, with plain tracebacks: others show the values of local variables, which may be secrets."""
    return structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)


def configure_logging(settings: Settings, service: str) -> None:
    """Send structlog's and the standard library's records to stdout in one form, with the service's name on each."""
    as_json = settings.log_format == "json" or (settings.log_format == "auto" and not sys.stdout.isatty())
    renderer: Any = structlog.processors.JSONRenderer() if as_json else console_renderer()
    before = [structlog.processors.format_exc_info] if as_json else []
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *before, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level)
    # aiokafka writes several lines for every retry; each service says once itself that Kafka is away.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    for noisy in ("faust", "mode", "asyncio", "httpx", "LiteLLM", "alembic", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service, environment=settings.environment)
