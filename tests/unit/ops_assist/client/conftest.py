"""The gateway that the clients under test talk to."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.unit.ops_assist.client.faulty_gateway import FaultyGateway, faulty_gateway

# A busy machine is no failure.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.fixture
def gateway() -> Iterator[FaultyGateway]:
    """The real gateway over a log in memory, behind a server that fails as it is told."""
    with faulty_gateway() as running:
        yield running
