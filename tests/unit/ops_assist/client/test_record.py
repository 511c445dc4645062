"""Records of `logging` as events."""

import json
import logging
import sys
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider

from ops_assist.client.record import item_of, level_of


def _record(message: object = "payment failed", *args: object, **extra: object) -> logging.LogRecord:
    exc_info: Any = extra.pop("exc_info", None)
    logger = logging.getLogger("shop.payment")
    return logger.makeRecord(
        logger.name, logging.ERROR, "/srv/shop/payment.py", 42, message, args, exc_info, "charge", extra
    )


def _event(record: logging.LogRecord) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(item_of(record, "checkout", "web-3", "production").line)
    return event


@pytest.mark.parametrize(
    ("number", "level"),
    [(0, "DEBUG"), (10, "DEBUG"), (25, "INFO"), (30, "WARNING"), (40, "ERROR"), (50, "CRITICAL"), (99, "CRITICAL")],
)
def test_levels_are_those_of_their_numbers(number: int, level: str) -> None:
    """Also those that an application has added."""
    assert level_of(number) == level


def test_a_record_becomes_an_event_with_its_place() -> None:
    """Message with arguments, time, host, environment, logger, file, line, function, thread and process."""
    record = _record("payment %d failed", 7)
    record.created = 1_674_981_742.5
    event = _event(record)
    attributes = event.pop("attributes")
    event.pop("id")
    assert event == {
        "service": "checkout",
        "level": "ERROR",
        "message": "payment 7 failed",
        "timestamp": "2023-01-29T08:42:22.500000Z",
        "host": "web-3",
        "environment": "production",
    }
    assert attributes == {
        "logger": "shop.payment",
        "code.file.path": "/srv/shop/payment.py",
        "code.line.number": 42,
        "code.function.name": "charge",
        "thread.name": "MainThread",
        "process.pid": record.process,
        "process.name": "MainProcess",
    }


def test_extra_becomes_attributes() -> None:
    """Flat."""
    attributes = _event(_record(order=17, customer={"country": "CH"}))["attributes"]
    assert (attributes["order"], attributes["customer.country"]) == (17, "CH")


def test_an_exception_is_told_by_the_names_of_opentelemetry() -> None:
    """Type, message and stack trace; a bare exception's message serves where the line has none."""
    try:
        json.loads("{")
    except ValueError:
        event = _event(_record("", exc_info=sys.exc_info()))
    attributes = event["attributes"]
    assert attributes["exception.type"] == "json.decoder.JSONDecodeError"
    assert attributes["exception.message"].startswith("Expecting property name")
    assert attributes["exception.stacktrace"].startswith("Traceback")
    assert event["message"] == attributes["exception.message"]


def test_an_exception_whose_text_fails_is_still_told() -> None:
    """By its type and its trace."""

    class Broken(Exception):  # noqa: N818
        def __str__(self) -> str:
            raise RuntimeError

    attributes = _event(_record(exc_info=(Broken, Broken(), None)))["attributes"]
    assert attributes["exception.type"].endswith("Broken")
    assert "RuntimeError" in attributes["exception.message"]
    assert "exception str() failed" in attributes["exception.stacktrace"]


def test_arguments_that_do_not_fit_lose_nothing() -> None:
    """The line is told as it was written."""
    assert _event(_record("%d of %d", "a"))["message"] == "%d of %d ('a',)"


def test_the_current_span_of_opentelemetry_goes_with_the_event() -> None:
    """Where the application uses it; ids said with the line go first."""
    with TracerProvider().get_tracer("shop").start_as_current_span("charge") as span:
        context = span.get_span_context()
        event = _event(_record())
        said = _event(_record(trace_id="abc"))
    assert event["trace_id"] == f"{context.trace_id:032x}"
    assert event["span_id"] == f"{context.span_id:016x}"
    assert (said["trace_id"], said.get("span_id")) == ("abc", None)
    assert "trace_id" not in said["attributes"]
    assert "trace_id" not in _event(_record())


def test_without_opentelemetry_no_trace_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """And another module of that name harms nobody."""
    for module in (None, object()):
        monkeypatch.setitem(sys.modules, "opentelemetry.trace", module)
        assert "trace_id" not in _event(_record())


def test_an_event_of_structlog_that_is_not_rendered_yet_is_read() -> None:
    """As `ProcessorFormatter.wrap_for_formatter` hands it over: its event is the message, the rest attributes."""
    told = {"event": "payment failed", "order": 17, "level": "error", "exc_info": ValueError("no"), "logger": "x"}
    event = _event(_record(told))
    assert event["message"] == "payment failed"
    assert event["attributes"]["order"] == 17
    assert event["attributes"]["exception.type"] == "ValueError"
    assert event["attributes"]["logger"] == "shop.payment"
    assert "level" not in event["attributes"]


def test_a_dictionary_that_is_no_event_is_text() -> None:
    """As logging has it."""
    assert _event(_record({"a": 1}))["message"] == "{'a': 1}"
