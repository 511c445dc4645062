"""Kafka clients: how the settings become options of a client."""

import ssl
from pathlib import Path

import pytest

from runtime.kafka import TopicsUnsuitable, _check_kept, _check_partitions, connection_options, make_producer
from runtime.settings import Settings, load_settings
from schemas.topics import DETECTION_CHANGELOG, EVENTS, INCIDENT_STATUS, INCIDENTS, MAX_RECORD_BYTES


def _settings(**overrides: object) -> Settings:
    return load_settings(_env_file=None, kafka_bootstrap_servers="a:1,b:2", **overrides)


def test_a_plain_connection_needs_the_addresses_alone() -> None:
    """No TLS, no credentials."""
    assert connection_options(_settings()) == {"bootstrap_servers": "a:1,b:2", "security_protocol": "PLAINTEXT"}


def test_sasl_over_tls_carries_both() -> None:
    """The password is taken out of its wrapping only here."""
    options = connection_options(
        _settings(
            kafka_security_protocol="SASL_SSL",
            kafka_sasl_mechanism="SCRAM-SHA-512",
            kafka_sasl_username="me",
            kafka_sasl_password="secret",
        )
    )
    assert isinstance(options["ssl_context"], ssl.SSLContext)
    assert options["ssl_context"].verify_mode is ssl.CERT_REQUIRED
    assert options["sasl_mechanism"] == "SCRAM-SHA-512"
    assert (options["sasl_plain_username"], options["sasl_plain_password"]) == ("me", "secret")


def test_an_authority_that_is_not_there_is_an_error_at_once() -> None:
    """Not a connection without it."""
    with pytest.raises(FileNotFoundError):
        connection_options(_settings(kafka_security_protocol="SSL", kafka_ssl_cafile=Path("/nowhere/ca.pem")))


@pytest.mark.parametrize("idempotent", [True, False])
async def test_a_producer_waits_for_all_replicas(idempotent: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """With idempotence wherever the broker can."""
    producer = make_producer(_settings(kafka_idempotence=idempotent), "test")
    try:
        assert producer._sender._acks == -1
        assert (producer._txn_manager is not None) is idempotent
        assert producer._max_request_size == MAX_RECORD_BYTES
    finally:
        await producer.stop()


def test_topics_that_are_not_co_partitioned_are_named() -> None:
    """With what to do about it."""
    _check_partitions({EVENTS: 6, INCIDENTS: 6}, 6)
    with pytest.raises(TopicsUnsuitable, match=r"ops\.incidents has 3.*give them 6 partitions"):
        _check_partitions({EVENTS: 6, INCIDENTS: 3}, 6)


@pytest.mark.parametrize("policy", ["delete", "compact,delete"])
def test_a_topic_that_forgets_what_must_be_kept_is_named(policy: str) -> None:
    """With the command that mends it."""
    with pytest.raises(TopicsUnsuitable, match=f"changelog has cleanup.policy {policy},.*cleanup.policy=compact"):
        _check_kept({DETECTION_CHANGELOG: {"cleanup.policy": policy}})


def test_what_may_be_deleted_and_what_is_not_told_is_let_be() -> None:
    """Events are kept for days as declared or otherwise; some brokers tell no settings."""
    _check_kept({EVENTS: {"cleanup.policy": "compact"}, INCIDENT_STATUS: {"cleanup.policy": "delete"}, INCIDENTS: {}})
