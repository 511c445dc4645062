"""Brokers for tests: which there are, and how a test asks for one or both."""

import os
from pathlib import Path
from typing import Final

import pytest

from deploy.brokers.apache_kafka import ApacheKafka
from deploy.brokers.base import Broker
from deploy.brokers.embedded import EmbeddedBroker

APACHE_KAFKA: Final = "apache_kafka"
EMBEDDED: Final = "embedded_broker"

both_brokers = pytest.mark.parametrize(
    "broker",
    [
        pytest.param(APACHE_KAFKA, marks=pytest.mark.apache_kafka),
        pytest.param(EMBEDDED, marks=pytest.mark.embedded_broker),
    ],
    indirect=True,
    scope="module",
)
"""Runs a module (`pytestmark = both_brokers`) or a test once with each broker, through the fixture `broker`."""


def make_broker(kind: str, state_dir: Path) -> Broker:
    """A broker of that kind, not started; skips the test, and on CI fails it, where it cannot be run."""
    if kind == EMBEDDED:
        return EmbeddedBroker(state_dir)
    if reason := ApacheKafka.available():
        if os.environ.get("CI") == "true":
            pytest.fail(f"Apache Kafka must run on CI: {reason}", pytrace=False)
        pytest.skip(f"Apache Kafka cannot be run here: {reason}")
    return ApacheKafka(state_dir)
