"""The handler for `logging`: every record arrives, and no log call ever waits, fails or loops."""

import logging
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from ops_assist.client import Limits, OpsAssistHandler
from tests.support.ports import free_port
from tests.support.waiting import wait_until
from tests.unit.ops_assist.client.faulty_gateway import Fault, FaultyGateway

ROOT = Path(__file__).parents[4]

Attach = Callable[..., OpsAssistHandler]


@pytest.fixture
def logger() -> logging.Logger:
    """One of its own, which tells no other handler."""
    made = logging.getLogger("shop")
    made.setLevel(logging.DEBUG)
    made.propagate = False
    return made


@pytest.fixture
def attach(gateway: FaultyGateway, logger: logging.Logger) -> Iterator[Attach]:
    """Attaches a handler to the logger, and lets go of it again."""
    handlers = []

    def attach(url: str = "", **options: Any) -> OpsAssistHandler:
        limits = options.pop("limits", Limits(linger=0.02))
        handler = OpsAssistHandler("checkout", url or gateway.url, limits=limits, exit_timeout=0.05, **options)
        handlers.append(handler)
        logger.addHandler(handler)
        return handler

    yield attach
    gateway.silence.set()
    for handler in handlers:
        logger.removeHandler(handler)
        handler.close()


def test_what_is_logged_is_in_the_log(gateway: FaultyGateway, logger: logging.Logger, attach: Attach) -> None:
    """In its order, with its attributes, in few requests."""
    handler = attach(environment="test")
    for number in range(500):
        logger.warning("line %d", number, extra={"number": number})
    assert handler.drain(20)
    assert gateway.messages == [f"line {number}" for number in range(500)]
    assert [event["attributes"]["number"] for event in gateway.written] == list(range(500))
    assert {event["environment"] for event in gateway.written} == {"test"}
    assert len(gateway.requests) < 50
    assert (handler.stats.delivered, handler.stats.held) == (500, 0)


def test_without_a_flush_it_arrives_by_itself(gateway: FaultyGateway, logger: logging.Logger, attach: Attach) -> None:
    """Within the linger."""
    attach()
    logger.error("alone")
    wait_until(lambda: gateway.messages == ["alone"])
    logger.error("again")
    wait_until(lambda: gateway.messages == ["alone", "again"])


def test_a_gateway_that_is_away_for_a_while_loses_nothing(
    gateway: FaultyGateway, logger: logging.Logger, attach: Attach
) -> None:
    """Refused, unreachable, hung up before and after it was written: sent again with the same ids, which count once."""
    gateway.faults += [Fault(503, headers=(("Retry-After", "0"),)), Fault(), Fault(taken=True), Fault(404)]
    handler = attach()
    for number in range(20):
        logger.info("line %d", number)
    assert handler.drain(30)
    assert {request.body for request in gateway.requests} == {gateway.requests[0].body}
    once = {event["id"]: event["message"] for event in gateway.written}
    assert list(once.values()) == [f"line {number}" for number in range(20)]
    assert len(gateway.written) == 40
    assert (handler.stats.delivered, len(gateway.requests)) == (20, 5)


def test_a_record_that_the_gateway_refuses_is_told_and_holds_up_no_other(
    gateway: FaultyGateway, logger: logging.Logger, attach: Attach, caplog: pytest.LogCaptureFixture
) -> None:
    """A record from the far future, as a broken clock makes it."""
    handler = attach()
    record = logger.makeRecord("shop", logging.ERROR, "x.py", 1, "too early", (), None)
    record.created += 86_400
    logger.handle(record)
    logger.error("in time")
    assert handler.drain(20)
    assert gateway.messages == ["in time"]
    assert handler.stats.rejected == 1
    wait_until(lambda: "5 minutes in the future" in caplog.text)


def test_log_calls_wait_for_nobody(gateway: FaultyGateway, logger: logging.Logger, attach: Attach) -> None:
    """100,000 calls end while a gateway that never answers holds the first request; what is held stays in its bound."""
    gateway.silence.clear()
    handler = attach(limits=Limits(max_events=1_000, batch_events=100, linger=0))
    logger.error("the first")
    wait_until(lambda: gateway.requests)
    for number in range(100_000):
        logger.log(logging.ERROR if number % 500 == 0 else logging.INFO, "line %d", number)
    stats = handler.stats
    assert (stats.delivered, stats.rejected, gateway.written) == (0, 0, [])
    assert (stats.held, stats.dropped) == (1_000, 100_001 - 1_000)
    gateway.silence.set()
    assert handler.drain(20)
    levels = [event["level"] for event in gateway.written]
    assert levels.count("ERROR") == 201


def test_what_was_dropped_is_an_event_itself_once_there_is_room(
    gateway: FaultyGateway, logger: logging.Logger, attach: Attach
) -> None:
    """One warning that tells how many."""
    gateway.silence.clear()
    handler = attach(limits=Limits(max_events=10, linger=0))
    logger.info("the first")
    wait_until(lambda: gateway.requests)
    for number in range(50):
        logger.info("line %d", number)
    gateway.silence.set()
    wait_until(lambda: len(gateway.written) == 11)
    (notice,) = [event for event in gateway.written if event["level"] == "WARNING"]
    assert notice["message"] == "41 events were dropped, because the client's queue was full"
    assert notice["attributes"]["events.dropped"] == 41
    assert notice["service"] == "checkout"
    assert handler.stats.dropped == 41


def test_an_outage_is_told_to_other_handlers_and_not_to_itself(
    gateway: FaultyGateway, attach: Attach, caplog: pytest.LogCaptureFixture
) -> None:
    """The client's own lines would keep it busy for ever."""
    handler = attach()
    own = logging.getLogger("ops_assist.client")
    own.addHandler(handler)
    try:
        gateway.faults += [Fault(503)] * 3
        logging.getLogger("shop").error("payment failed")
        assert handler.drain(30)
        wait_until(lambda: "takes events again" in caplog.text)
    finally:
        own.removeHandler(handler)
    assert "takes no events" in caplog.text
    assert gateway.messages == ["payment failed"]


def test_what_is_logged_while_it_sends_is_not_sent(
    gateway: FaultyGateway, logger: logging.Logger, attach: Attach, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a tool makes the standard library log every connection, each request would be a reason for the next."""
    handler = attach()
    connect = HTTPConnection.connect

    def logged_connect(connection: HTTPConnection) -> None:
        logger.info("connecting")
        connect(connection)

    monkeypatch.setattr(HTTPConnection, "connect", logged_connect)
    logger.error("payment failed")
    assert handler.drain(20)
    assert gateway.messages == ["payment failed"]
    assert handler.stats.offered == 1


def test_a_log_call_that_fails_within_raises_nothing(
    gateway: FaultyGateway, logger: logging.Logger, attach: Attach, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is told on stderr, as logging does it."""
    handler = attach()
    record = logger.makeRecord("shop", logging.ERROR, "x.py", 1, "no time", (), None)
    record.created = float("nan")
    logger.handle(record)
    logger.error("after it")
    assert handler.drain(20)
    assert gateway.messages == ["after it"]
    assert "ValueError" in capsys.readouterr().err


def test_filters_and_levels_are_heeded(gateway: FaultyGateway, logger: logging.Logger, attach: Attach) -> None:
    """As of any handler."""
    handler = attach(level="WARNING")
    handler.addFilter(lambda record: "secret" not in record.getMessage())
    for text in ("fine", "a secret"):
        logger.info(text)
        logger.error(text)
    assert handler.drain(20)
    assert gateway.messages == ["fine"]


def test_many_threads_lose_nothing(gateway: FaultyGateway, logger: logging.Logger, attach: Attach) -> None:
    """Each thread's lines arrive in its order."""
    handler = attach()

    def log(name: str) -> None:
        for number in range(300):
            logger.info("%d", number, extra={"of": name})

    threads = [threading.Thread(target=log, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert handler.drain(20)
    for name in "abcd":
        own = [event["message"] for event in gateway.written if event["attributes"]["of"] == name]
        assert own == [str(number) for number in range(300)]


def test_after_the_end_records_are_counted_as_dropped(logger: logging.Logger, attach: Attach) -> None:
    """Nobody would send them; and a second end is none."""
    handler = attach()
    handler.close()
    logger.error("too late")
    assert handler.stats.dropped == 1
    assert handler.drain(0)


def test_an_end_without_a_gateway_is_bounded_and_told(
    logger: logging.Logger, attach: Attach, caplog: pytest.LogCaptureFixture
) -> None:
    """What could not be sent is named."""
    handler = attach(f"http://127.0.0.1:{free_port()}")
    logger.error("nobody hears")
    handler.flush()
    handler.close()
    assert handler.stats.held == 1
    assert "1 events were not taken by the gateway within 0.05 s" in caplog.text


def test_an_end_amid_a_request_does_not_wait_for_its_answer(
    gateway: FaultyGateway, logger: logging.Logger, attach: Attach
) -> None:
    """The connection is cut, and its thread ends."""
    gateway.silence.clear()
    handler = attach(timeout=60)
    logger.error("held")
    wait_until(lambda: gateway.requests)
    threads = set(threading.enumerate())
    handler.close()
    wait_until(lambda: not any(thread.name == "ops-assist-client" for thread in threads & set(threading.enumerate())))


def _run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", script, *arguments],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


_AT_EXIT = """
import logging, sys
from ops_assist.client import Limits, OpsAssistHandler
logging.basicConfig(level="INFO", handlers=[OpsAssistHandler("checkout", sys.argv[1], limits=Limits(linger=60))])
for number in range(2_500):
    logging.info("line %d", number)
"""


def test_the_end_of_the_process_sends_what_is_queued(gateway: FaultyGateway) -> None:
    """Though none of it was due for a minute."""
    run = _run(_AT_EXIT, gateway.url)
    assert (run.returncode, run.stderr) == (0, "")
    assert gateway.messages == [f"line {number}" for number in range(2_500)]


_AFTER_THREADS = """
import atexit, logging, sys
from ops_assist.client import OpsAssistHandler
logging.basicConfig(level="INFO", handlers=[OpsAssistHandler("checkout", sys.argv[1])])
atexit.register(logging.error, "the last word")
"""


def test_a_line_logged_while_the_process_ends_is_sent(gateway: FaultyGateway) -> None:
    """Where the interpreter starts no more threads (from Python 3.12 on), the flush sends itself."""
    run = _run(_AFTER_THREADS, gateway.url)
    assert (run.returncode, run.stderr) == (0, "")
    assert gateway.messages == ["the last word"]


_FORKS = """
import logging, os, sys, warnings
from ops_assist.client import OpsAssistHandler
warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of a fork where there are threads
handler = OpsAssistHandler("checkout", sys.argv[1])
logging.basicConfig(level="INFO", handlers=[handler])
logging.info("of the parent, before")
assert handler.drain(20)
logging.info("of the parent, queued")
children = []
for number in range(3):
    child = os.fork()
    if child == 0:
        for line in range(50):
            logging.info("of child %d: %d", number, line)
        logging.shutdown()
        os._exit(0)
    children.append(child)
for child in children:
    assert os.waitpid(child, 0)[1] == 0
logging.info("of the parent, after")
"""


def test_forked_workers_send_their_own_and_nothing_twice(gateway: FaultyGateway) -> None:
    """As gunicorn's, forked after the handler was made: no lock, thread or connection of the parent is used."""
    run = _run(_FORKS, gateway.url)
    assert (run.returncode, run.stderr) == (0, "")
    parent = [message for message in gateway.messages if "parent" in message]
    assert parent == ["of the parent, before", "of the parent, queued", "of the parent, after"]
    for number in range(3):
        own = [message for message in gateway.messages if f"child {number}" in message]
        assert own == [f"of child {number}: {line}" for line in range(50)]
    assert len({event["id"] for event in gateway.written}) == 153


_SIGNALS = """
import logging, signal, sys
from ops_assist.client import OpsAssistHandler
handler = OpsAssistHandler("checkout", sys.argv[1])
logging.basicConfig(level="INFO", handlers=[handler])
heard = 0
def hear(*_):
    global heard
    heard += 1
    logging.info("signal")
signal.signal(signal.SIGALRM, hear)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
logged = 0
while heard < 50:
    logging.info("line")
    logged += 1
signal.setitimer(signal.ITIMER_REAL, 0)
stats = handler.stats
assert stats.offered == heard + logged, (stats, heard, logged)
assert stats.offered == stats.delivered + stats.dropped + stats.held, stats
"""


def test_a_signal_handler_that_logs_amid_a_log_call_locks_nothing_up(gateway: FaultyGateway) -> None:
    """And the counts stay true."""
    run = _run(_SIGNALS, gateway.url)
    assert (run.returncode, run.stderr) == (0, "")


def test_a_forked_child_that_inherits_a_held_lock_logs_all_the_same(
    gateway: FaultyGateway, logger: logging.Logger, attach: Attach
) -> None:
    """The parent's sender held it at the moment of the fork."""
    handler = attach()
    logger.error("before")
    assert handler.drain(20)
    with handler._sender._changed:
        held = threading.Thread(target=_fork_and_log, args=(logger, handler))
        held.start()
        held.join()
    assert handler.drain(20)
    assert gateway.messages == ["before", "in the child"]


def _fork_and_log(logger: logging.Logger, handler: OpsAssistHandler) -> None:
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # of a fork where there are threads
        child = os.fork()
    if child == 0:
        with suppress(BaseException):
            logger.error("in the child")
            os._exit(0 if handler.drain(20) else 1)
        os._exit(2)
    assert os.waitpid(child, 0)[1] == 0


def test_where_no_thread_starts_a_flush_sends_itself(
    gateway: FaultyGateway, logger: logging.Logger, attach: Attach, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From Python 3.12 on, an interpreter that ends starts none."""
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "ops-assist-client":
            raise RuntimeError("can't start new thread at interpreter shutdown")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    gateway.faults.append(Fault(503))
    handler = attach()
    logger.error("the last word")
    assert gateway.requests == []
    assert handler.drain(20)
    assert gateway.messages == ["the last word"]
    assert handler.stats.retries == 1
