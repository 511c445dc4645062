"""A record of `logging` as an event: its level, its text, its exception and everything that was said beside it."""

import logging
import sys
import traceback
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

from ops_assist.client.outbox import Item
from ops_assist.client.shape import make_item, text_of
from schemas.levels import Level

_OWN: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
"""What every record has; the rest came by `extra`."""

_BY_NUMBER: Final[tuple[tuple[int, Level], ...]] = (
    (logging.CRITICAL, "CRITICAL"),
    (logging.ERROR, "ERROR"),
    (logging.WARNING, "WARNING"),
    (logging.INFO, "INFO"),
)
_CONTEXT: Final = ("trace_id", "span_id")
_OF_STRUCTLOG: Final = frozenset({"event", "level", "timestamp", "logger", "exc_info", "exception", "stack_info"})


def level_of(number: int) -> Level:
    """The level of a number of `logging`; one between two is the lower, as logging's own filters have it."""
    return next((level for least, level in _BY_NUMBER if number >= least), "DEBUG")


def item_of(record: logging.LogRecord, service: str, host: str, environment: str | None) -> Item:
    """The event of a record."""
    said = _said(record)
    context = _context(said)
    message = _message(record)
    exception = _exception(record)
    attributes = exception | _place(record) | said  # what names the failure is kept first, where there is too much
    return make_item(
        service,
        level_of(record.levelno),
        message or exception.get("exception.message", "") or exception.get("exception.type", ""),
        micros=round(record.created * 1_000_000),
        attributes=attributes,
        host=host,
        environment=environment,
        **context,
    )


def _message(record: logging.LogRecord) -> str:
    """The text with its arguments; a call whose arguments do not fit is still told, as it was written."""
    told = _event_dict(record)
    if told:
        return text_of(told["event"])
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - formats and arguments are the application's
        return f"{text_of(record.msg)} {text_of(record.args)}"


def _event_dict(record: logging.LogRecord) -> dict[str, Any]:
    """What structlog hands over unrendered (`ProcessorFormatter.wrap_for_formatter`); empty where it is not that."""
    message: object = record.msg
    return message if isinstance(message, dict) and "event" in message else {}


def _said(record: logging.LogRecord) -> dict[str, Any]:
    said = {name: value for name, value in record.__dict__.items() if name not in _OWN and not name.startswith("_")}
    return said | {name: value for name, value in _event_dict(record).items() if name not in _OF_STRUCTLOG}


def _context(said: dict[str, Any]) -> dict[str, str]:
    """Trace and span: what was said with the line, else OpenTelemetry's current span, if the application uses it."""
    found = {name: text_of(said.pop(name)) for name in _CONTEXT if said.get(name)}
    return found or _current_span()


def _current_span() -> dict[str, str]:
    api: Any = sys.modules.get("opentelemetry.trace")
    with suppress(Exception):  # not there, half imported, or another's idea of a span: the event goes without
        span = api.get_current_span().get_span_context()
        if span.is_valid:
            return {"trace_id": f"{span.trace_id:032x}", "span_id": f"{span.span_id:016x}"}
    return {}


def _place(record: logging.LogRecord) -> dict[str, Any]:
    """Where the line was written, by the names of OpenTelemetry's semantic conventions."""
    return {
        "logger": record.name,
        "code.file.path": record.pathname,
        "code.line.number": record.lineno,
        "code.function.name": record.funcName,
        "thread.name": record.threadName,
        "process.pid": record.process,
        "process.name": record.processName,
    }


def _exception(record: logging.LogRecord) -> dict[str, str]:
    """`exception.*` as OpenTelemetry's semantic conventions have it."""
    return dict(_exception_parts(record))


def _exception_parts(record: logging.LogRecord) -> Iterator[tuple[str, str]]:
    told = _event_dict(record)
    error = _error(record.exc_info) or _error(told.get("exc_info"))
    if error is not None:
        yield "exception.type", f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
        yield "exception.message", text_of(error)
        yield "exception.stacktrace", _stacktrace(error)
    elif trace := record.exc_text or told.get("exception") or record.stack_info or told.get("stack_info"):
        yield "exception.stacktrace", text_of(trace)


def _error(exc_info: object) -> BaseException | None:
    """The exception of what callers pass as `exc_info`."""
    if isinstance(exc_info, BaseException):
        return exc_info
    if exc_info is True:
        return sys.exc_info()[1]
    if isinstance(exc_info, tuple) and len(exc_info) > 1 and isinstance(exc_info[1], BaseException):
        return exc_info[1]
    return None


def _stacktrace(error: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(error))
    except Exception:  # noqa: BLE001 - an exception's own text may raise
        return "".join(traceback.format_tb(error.__traceback__))
