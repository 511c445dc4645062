"""The gateway that the unit tests talk to."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.unit.ingest_gateway.gateway_client import Gateway, running_gateway

# A busy machine is no failure.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    """A gateway over a log in memory."""
    with running_gateway() as running:
        yield running
