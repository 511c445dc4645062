"""Logs of our own: one JSON object a line, whoever wrote it."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from runtime.logging import about, configure_logging
from runtime.settings import load_settings
from runtime.trace_context import TraceContext, under


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Leave logging as it was."""
    root = logging.getLogger()
    handlers, level, before = root.handlers[:], root.level, structlog.get_config()
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**before)
    structlog.contextvars.clear_contextvars()


def _lines(captured: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in captured.splitlines()]


def test_our_lines_and_those_of_libraries_have_one_form(capsys: pytest.CaptureFixture[str]) -> None:
    """With time, level, logger, service and environment on each."""
    configure_logging(load_settings(_env_file=None, log_format="json", environment="staging"), "a_service")
    structlog.get_logger("ours").info("started", port=8000)
    logging.getLogger("theirs").warning("slow %s", "disk")
    ours, theirs = _lines(capsys.readouterr().out)
    assert (ours["event"], ours["port"], ours["level"], ours["logger"]) == ("started", 8000, "info", "ours")
    assert (theirs["event"], theirs["level"], theirs["logger"]) == ("slow disk", "warning", "theirs")
    for line in (ours, theirs):
        assert (line["service"], line["environment"]) == ("a_service", "staging")
        assert line["timestamp"].endswith("Z")


def test_an_exception_stays_on_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A stack trace of many lines would be many records to whoever reads them."""
    configure_logging(load_settings(_env_file=None, log_format="json"), "a_service")
    try:
        int("broken")
    except ValueError:
        structlog.get_logger("ours").exception("failed")
    (line,) = _lines(capsys.readouterr().out)
    assert "ValueError: invalid literal" in line["exception"]


def test_what_is_less_severe_than_asked_for_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    """And chatty libraries speak up from WARNING only."""
    configure_logging(load_settings(_env_file=None, log_format="json", log_level="INFO"), "a_service")
    structlog.get_logger("ours").debug("detail")
    logging.getLogger("aiokafka.conn").info("chatter")
    assert not capsys.readouterr().out


def test_lines_for_people_are_no_json(capsys: pytest.CaptureFixture[str]) -> None:
    """On a terminal, or when asked for."""
    configure_logging(load_settings(_env_file=None, log_format="console"), "a_service")
    structlog.get_logger("ours").info("started")
    line = capsys.readouterr().out
    assert "started" in line
    assert not line.startswith("{")


def test_a_traceback_shows_no_values(capsys: pytest.CaptureFixture[str]) -> None:
    """A local variable may be a secret."""
    for form in ("console", "json"):
        configure_logging(load_settings(_env_file=None, log_format=form), "a_service")
        password = "hunter" + "2"
        try:
            [][len(password)]
        except IndexError:
            structlog.get_logger("ours").exception("failed")
        told = capsys.readouterr().out
        assert "IndexError" in told
        assert "hunter2" not in told


def test_a_line_about_a_record_says_which_and_of_which_trace(capsys: pytest.CaptureFixture[str]) -> None:
    """Those of libraries too; what a line says itself stands, and afterwards nothing is left."""
    configure_logging(load_settings(_env_file=None, log_format="json"), "a_service")
    ours = structlog.get_logger("ours")
    with about("ops.events", 3, 42), under(TraceContext("a" * 32, "b" * 16)):
        ours.info("decided")
        logging.getLogger("theirs").warning("slow")
        ours.info("of another", trace_id="c" * 32, offset=43)
    ours.info("after")
    decided, slow, another, after = _lines(capsys.readouterr().out)
    place = {"topic": "ops.events", "partition": 3, "offset": 42, "trace_id": "a" * 32, "span_id": "b" * 16}
    assert place.items() <= decided.items()
    assert place.items() <= slow.items()
    assert (another["trace_id"], another["offset"], "span_id" in another) == ("c" * 32, 43, False)
    assert not place.keys() & after.keys()


def test_a_person_at_a_terminal_sees_them_too(capsys: pytest.CaptureFixture[str]) -> None:
    """In the form for people."""
    configure_logging(load_settings(_env_file=None, log_format="console"), "a_service")
    with about("ops.events", 3, None), under(TraceContext("a" * 32, "b" * 16)):
        structlog.get_logger("ours").info("decided")
    line = capsys.readouterr().out
    assert "decided" in line
    assert "a" * 32 in line
