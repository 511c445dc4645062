"""BROKER decides which broker is run; `auto` takes the best that this machine can."""

from pathlib import Path

import pytest

from deploy.brokers.apache_kafka import ApacheKafka
from deploy.brokers.base import BrokerError
from deploy.brokers.choose import choose_broker
from deploy.brokers.embedded import EmbeddedBroker
from deploy.brokers.kafka_jars import Progress
from runtime.settings import BrokerChoice, Settings, load_settings


def _settings(broker: BrokerChoice, state_dir: Path) -> Settings:
    return load_settings(_env_file=None, broker=broker, state_dir=state_dir, broker_port=19_092)


@pytest.fixture
def _no_java(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ApacheKafka, "available", staticmethod(lambda: "no java on PATH"))


@pytest.fixture
def _java(monkeypatch: pytest.MonkeyPatch) -> None:
    def install(_: Progress) -> None:
        """Nothing to fetch."""

    monkeypatch.setattr(ApacheKafka, "available", staticmethod(lambda: None))
    monkeypatch.setattr(ApacheKafka, "install", staticmethod(install))


@pytest.mark.usefixtures("_java")
@pytest.mark.parametrize("choice", ["auto", "kafka"])
def test_apache_kafka_is_taken_where_it_can_run(choice: BrokerChoice, tmp_path: Path) -> None:
    """With Java and Maven there, `auto` and `kafka` are the same."""
    broker = choose_broker(_settings(choice, tmp_path))
    assert isinstance(broker, ApacheKafka)
    assert broker.bootstrap_servers == "127.0.0.1:19092"


@pytest.mark.usefixtures("_no_java")
def test_auto_falls_back_and_says_why(tmp_path: Path) -> None:
    """Without Java the embedded broker is taken and the reason told."""
    told: list[str] = []
    assert isinstance(choose_broker(_settings("auto", tmp_path), told.append), EmbeddedBroker)
    assert told == ["Apache Kafka is not used: no java on PATH; install it, or set BROKER=embedded"]


@pytest.mark.usefixtures("_no_java")
def test_kafka_by_force_fails_where_it_cannot_run(tmp_path: Path) -> None:
    """Who asks for Apache Kafka gets it or an error, never another broker."""
    with pytest.raises(BrokerError, match="no java on PATH"):
        choose_broker(_settings("kafka", tmp_path))


@pytest.mark.usefixtures("_java")
def test_embedded_by_force_is_embedded(tmp_path: Path) -> None:
    """BROKER=embedded wins over an Apache Kafka that could run."""
    assert isinstance(choose_broker(_settings("embedded", tmp_path)), EmbeddedBroker)
