"""The server that each of these tests makes behave or misbehave."""

from collections.abc import Iterator

import pytest

from tests.support.openai_server import OpenAIServer, honest, running_server


@pytest.fixture(scope="package")
def server() -> Iterator[OpenAIServer]:
    with running_server() as running:
        yield running


@pytest.fixture(autouse=True)
def _fresh(server: OpenAIServer) -> None:
    server.behaviour = honest
    server.bodies.clear()
