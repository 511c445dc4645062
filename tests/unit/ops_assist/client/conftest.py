"""The gateway that the clients under test talk to."""

from collections.abc import Iterator
from functools import partial

import pytest
from hypothesis import settings

from ops_assist.client.backoff import Backoff
from tests.unit.ops_assist.client.faulty_gateway import FaultyGateway, faulty_gateway

# A busy machine is no failure.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyGateway]:
    """The real gateway over a log in memory, behind a server that fails as it is told; clients try again soon."""
    monkeypatch.setattr("ops_assist.client.delivery.Backoff", partial(Backoff, first=0.005))
    with faulty_gateway() as running:
        yield running
