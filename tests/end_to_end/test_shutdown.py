"""SIGTERM: not ready at once, what is under way to its end, out of the group, and exit code 0 within ten seconds."""

import asyncio
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import asyncpg
import httpx
import pytest
from confluent_kafka.admin import AdminClient

from deploy.brokers.apache_kafka import ApacheKafka
from tests.support.databases import Databases
from tests.support.openai_server import OpenAIServer, running_server, slow
from tests.support.pipeline import ANALYZER, DASHBOARD, FRONT_DOOR, MATERIALIZER, PROCESSOR, Pipeline, running_pipeline
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.apache_kafka, pytest.mark.timeout(240)]

LIMIT: Final = 10.0
EVERY: Final = (FRONT_DOOR, PROCESSOR, MATERIALIZER, ANALYZER, DASHBOARD)
GROUPS: Final = {PROCESSOR: "ops-detection", MATERIALIZER: "ops-materializer", ANALYZER: "ops-analyzer"}


@pytest.fixture(scope="module")
def model() -> Iterator[OpenAIServer]:
    """A model that hangs."""
    with running_server() as server:
        server.behaviour = slow(600)
        yield server


@pytest.fixture(scope="module")
def pipeline(
    broker: ApacheKafka, databases: Databases, model: OpenAIServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pipeline]:
    """Every service, the analyzer with a model."""
    settings = {
        "LLM_MODEL": "openai/gpt-4o-mini",
        "LLM_API_BASE": model.url,
        "OPENAI_API_KEY": "sk-local",
        "KAFKA_SESSION_TIMEOUT_MS": "30000",  # a member that does not leave is seen for longer than any test waits
    }
    state_dir = tmp_path_factory.mktemp("shutdown")
    with running_pipeline(broker, databases.create(), state_dir, *EVERY, **settings) as running:
        yield running


@pytest.fixture(autouse=True)
def _all_run(pipeline: Pipeline) -> None:
    """What the test before has ended runs again."""
    pipeline.start(*(service for service in EVERY if service not in pipeline.running()))
    pipeline.wait_ready(*EVERY)


def test_a_front_door_ends_with_a_query_that_hangs_and_a_stream_that_is_open(pipeline: Pipeline) -> None:
    """It says that it is not ready and still answers; then streams end, and the query's request is let go."""
    events, stream = _stream(f"{pipeline.url}/api/v1/incidents/stream")
    assert events.wait(20)
    with _locked(pipeline, "incidents"), httpx.Client(base_url=pipeline.url, timeout=30) as client:
        hanging = _in_background(lambda: client.get("/api/v1/incidents"))
        _wait_for_lock(pipeline)
        process, began = _told_to_end(pipeline, FRONT_DOOR)
        wait_until(lambda: "told to stop" in _unready(pipeline, FRONT_DOOR), what="not ready")
        _ends_well(process, began)
    for thread in (hanging, stream):
        thread.join(5)
        assert not thread.is_alive()


def test_a_dashboard_ends_with_a_stream_that_is_open(pipeline: Pipeline) -> None:
    """A browser that looks at the list holds nobody up."""
    events, stream = _stream(f"http://127.0.0.1:{pipeline.ports[DASHBOARD]}/api/v1/incidents/stream")
    assert events.wait(20)
    process, began = _told_to_end(pipeline, DASHBOARD)
    _ends_well(process, began)
    stream.join(5)
    assert not stream.is_alive()


def test_a_materializer_ends_while_postgresql_does_not_answer(pipeline: Pipeline) -> None:
    """What was not written then is written by the next, once."""
    before = pipeline.count("SELECT count(*) FROM events")
    with _locked(pipeline, "events"):
        _send(pipeline, "shutdown-materializer", 7)
        _wait_for_lock(pipeline)
        process, began = _told_to_end(pipeline, MATERIALIZER)
        wait_until(lambda: "told to stop" in _unready(pipeline, MATERIALIZER), what="not ready")
        _ends_well(process, began)
        assert _members(pipeline, MATERIALIZER) == 0
    pipeline.start(MATERIALIZER)
    wait_until(lambda: pipeline.count("SELECT count(*) FROM events") >= before + 7, timeout=60, what="the events")
    assert pipeline.count("SELECT count(*) FROM events WHERE service = 'shutdown-materializer'") == 7


def test_an_analyzer_ends_while_a_model_hangs(pipeline: Pipeline, model: OpenAIServer) -> None:
    """The incident keeps its analysis by the rules, and the next worker asks the model again."""
    asked = len(model.bodies)
    _send(pipeline, "shutdown-analyzer", 5)
    wait_until(lambda: len(model.bodies) > asked, timeout=60, what="a call under way")
    process, began = _told_to_end(pipeline, ANALYZER)
    _ends_well(process, began)
    assert _members(pipeline, ANALYZER) == 0
    asked = len(model.bodies)
    pipeline.start(ANALYZER)
    wait_until(lambda: len(model.bodies) > asked, timeout=60, what="the next worker's call")


def test_a_processor_ends_amid_events(pipeline: Pipeline) -> None:
    """It commits what it has decided on and leaves its group: the next goes on at once, and counts each once."""
    ended = threading.Event()
    sent: list[str] = []

    def send_until_the_end() -> None:
        while not ended.is_set():
            sent.extend(_send(pipeline, "shutdown-processor", 20))

    sender = _in_background(send_until_the_end)
    wait_until(lambda: len(sent) > 200, timeout=60, what="a stream of events")
    process, began = _told_to_end(pipeline, PROCESSOR)
    _ends_well(process, began)
    assert _members(pipeline, PROCESSOR) == 0
    pipeline.start(PROCESSOR)
    ended.set()
    sender.join(30)
    wait_until(lambda: _counted(pipeline, "shutdown-processor") == len(sent), timeout=60, what="each event, once")


def test_all_end_while_the_broker_is_away(pipeline: Pipeline, broker: ApacheKafka) -> None:
    """A broker that is frozen answers nobody, and takes no goodbye."""
    assert broker.pid
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        told = [_told_to_end(pipeline, service) for service in EVERY]
        for process, began in told:
            _ends_well(process, began)
    finally:
        os.kill(broker.pid, signal.SIGCONT)


def _told_to_end(pipeline: Pipeline, service: str) -> tuple[subprocess.Popen[bytes], float]:
    process = pipeline.release(service)
    process.send_signal(signal.SIGTERM)
    return process, time.monotonic()


def _ends_well(process: subprocess.Popen[bytes], began: float) -> None:
    """Within the limit that operators are promised, which is several times what it takes."""
    try:
        assert process.wait(timeout=began + LIMIT - time.monotonic()) == 0
    finally:
        process.kill()
        process.wait()


def _unready(pipeline: Pipeline, service: str) -> str:
    """Why a service says that it is not ready."""
    answer = httpx.get(f"http://127.0.0.1:{pipeline.ports[service]}/readyz", timeout=5)
    return "" if answer.is_success else str(answer.json()["reasons"])


def _members(pipeline: Pipeline, service: str) -> int:
    """How many the group has, as the broker says."""
    group = GROUPS[service]
    client = AdminClient({"bootstrap.servers": pipeline.environment["KAFKA_BOOTSTRAP_SERVERS"]})
    return len(client.describe_consumer_groups([group])[group].result(timeout=20).members)


def _send(pipeline: Pipeline, service: str, count: int) -> list[str]:
    events = [{"service": service, "level": "ERROR", "message": f"{service} is out of connections"}] * count
    answer = httpx.post(f"{pipeline.url}/api/v1/events/batch", json=events, timeout=20)
    assert answer.status_code == 201, answer.text
    return [service] * count


def _counted(pipeline: Pipeline, service: str) -> int:
    return sum(incident["event_count"] for incident in pipeline.incidents(service=service))


def _in_background(work: Callable[[], object]) -> threading.Thread:
    def run() -> None:
        try:
            work()
        except httpx.TransportError:
            return  # let go

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def _stream(url: str) -> tuple[threading.Event, threading.Thread]:
    """An open stream: whether its first bytes came, and the thread that reads to its end."""
    open_now = threading.Event()

    def follow() -> None:
        with httpx.stream("GET", url, timeout=60) as answer:
            for _ in answer.iter_raw():
                open_now.set()

    return open_now, _in_background(follow)


@contextmanager
def _locked(pipeline: Pipeline, table: str) -> Iterator[None]:
    """Nobody can read or write the table: their queries hang."""
    release, held = threading.Event(), threading.Event()

    async def hold() -> None:
        connection = await asyncpg.connect(pipeline.environment["DATABASE_URL"])
        try:
            async with connection.transaction():
                await connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
                held.set()
                await asyncio.to_thread(release.wait)
        finally:
            await connection.close()

    thread = threading.Thread(target=lambda: asyncio.run(hold()))
    thread.start()
    try:
        assert held.wait(30)
        yield
    finally:
        release.set()
        thread.join()


def _wait_for_lock(pipeline: Pipeline) -> None:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    wait_until(lambda: pipeline.count(waiting) > 0, what="a query that hangs")
