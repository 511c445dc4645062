"""The configuration of the one-node Apache Kafka."""

from deploy.brokers.kafka_config import server_properties


def _configuration() -> dict[str, str]:
    return dict(line.split("=", 1) for line in server_properties(9_092, 9_093).splitlines())


def test_it_listens_on_loopback_only() -> None:
    """No listener is reachable from another machine."""
    listeners = _configuration()["listeners"].split(",")
    assert listeners == ["PLAINTEXT://127.0.0.1:9092", "CONTROLLER://127.0.0.1:9093"]


def test_topics_are_made_only_on_request() -> None:
    """A misspelt topic name is an error, not a topic."""
    assert _configuration()["auto.create.topics.enable"] == "false"


def test_internal_topics_ask_for_no_more_replicas_than_there_are_brokers() -> None:
    """Every replication factor and every minimum of in-sync replicas is 1."""
    wanted = {value for name, value in _configuration().items() if name.endswith((".replication.factor", ".min.isr"))}
    assert wanted == {"1"}


def test_paths_are_relative() -> None:
    """So that no path of the machine, with its spaces and commas, needs escaping."""
    assert not _configuration()["log.dirs"].startswith("/")
