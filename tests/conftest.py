"""Fixtures for every test: brokers, PostgreSQL, settings, and a check that nothing is left running."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import structlog

from deploy.brokers.apache_kafka import ApacheKafka
from deploy.brokers.base import Broker
from deploy.brokers.embedded import EmbeddedBroker
from deploy.postgres import EmbeddedPostgres
from runtime.kafka import ensure_topics
from runtime.logging import console_renderer
from runtime.settings import Settings, load_settings
from tests.support.brokers import APACHE_KAFKA, EMBEDDED, make_broker
from tests.support.databases import Databases

_LEAVING_SECONDS = 5.0

# Tests count what topics hold to the last record: those that want the canary turn it on.
os.environ["CANARY_INTERVAL"] = "0"

structlog.configure(processors=[*structlog.get_config()["processors"][:-1], console_renderer()])


@contextmanager
def _state_dir() -> Iterator[Path]:
    """A directory whose name has a space in it, as a person's may have."""
    directory = Path(tempfile.mkdtemp(prefix="ops assist "))
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


@contextmanager
def _running(broker: Broker) -> Iterator[Broker]:
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


@pytest.fixture(scope="session", autouse=True)
def _nothing_left_running() -> Iterator[None]:
    """Fails the run when a process that it started outlives it."""
    before = set(psutil.Process().children(recursive=True))
    yield
    started = [child for child in psutil.Process().children(recursive=True) if child not in before]
    _, left = psutil.wait_procs(started, timeout=_LEAVING_SECONDS)
    described = [f"{child.pid} {child.name()}" for child in left]
    for child in left:
        child.kill()
    assert not described, f"processes left running: {', '.join(described)}"


@pytest.fixture(scope="session")
def apache_kafka(_nothing_left_running: None) -> Iterator[ApacheKafka]:
    """A running Apache Kafka, one for the whole run: use topics and groups with names of your own."""
    with _state_dir() as state_dir, _running(make_broker(APACHE_KAFKA, state_dir)) as broker:
        assert isinstance(broker, ApacheKafka)
        yield broker


@pytest.fixture(scope="session")
def embedded_broker(_nothing_left_running: None) -> Iterator[EmbeddedBroker]:
    """A running embedded broker, one for the whole run: use topics and groups with names of your own."""
    with _state_dir() as state_dir, _running(make_broker(EMBEDDED, state_dir)) as broker:
        assert isinstance(broker, EmbeddedBroker)
        yield broker


@pytest.fixture(scope="module")
def broker(request: pytest.FixtureRequest, _nothing_left_running: None) -> Iterator[Broker]:
    """A running, empty broker for one module: Apache Kafka, or what `tests.support.brokers.both_brokers` asks for."""
    with _state_dir() as state_dir, _running(make_broker(getattr(request, "param", APACHE_KAFKA), state_dir)) as broker:
        yield broker


@pytest.fixture
def broker_settings(broker: Broker) -> Settings:
    """Settings for the module's broker, which is started again if a test broke it; topics are the test's own matter."""
    broker.start()
    return load_settings(
        _env_file=None,
        kafka_bootstrap_servers=broker.bootstrap_servers,
        kafka_idempotence=broker.supports_idempotence,
        kafka_session_timeout_ms=3_000,
    )


@pytest.fixture(scope="module")
def kafka_settings(broker: Broker) -> Settings:
    """Settings for the module's broker, where the pipeline's topics are made, with 3 partitions each."""
    settings = load_settings(
        _env_file=None,
        kafka_bootstrap_servers=broker.bootstrap_servers,
        kafka_idempotence=broker.supports_idempotence,
        kafka_session_timeout_ms=3_000,
        topic_partitions=3,
    )
    with ThreadPoolExecutor(1) as thread:  # an asynchronous test's loop may be set in this one
        thread.submit(asyncio.run, ensure_topics(settings)).result()
    return settings


@pytest.fixture(scope="session")
def postgres_server(_nothing_left_running: None) -> Iterator[EmbeddedPostgres]:
    """A running PostgreSQL, one for the whole run, without durability."""
    with _state_dir() as state_dir:
        server = EmbeddedPostgres(state_dir, fast=True)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
def databases(postgres_server: EmbeddedPostgres) -> Databases:
    """Makes databases, empty or as copies."""
    return Databases(postgres_server)


@pytest.fixture
def database_url(databases: Databases) -> Iterator[str]:
    """The address of a fresh, empty database."""
    url = databases.create()
    yield url
    databases.drop(url)
