"""The server that each of these tests makes behave or misbehave."""

from collections.abc import AsyncIterator, Iterator

import pytest

from analyzer_worker.litellm_adapter import close_connections
from tests.support.openai_server import OpenAIServer, honest, running_server


@pytest.fixture(scope="package")
def server() -> Iterator[OpenAIServer]:
    with running_server() as running:
        yield running


@pytest.fixture(autouse=True)
def _fresh(server: OpenAIServer) -> None:
    server.behaviour = honest
    server.bodies.clear()


@pytest.fixture(autouse=True)
async def _nothing_stays_open() -> AsyncIterator[None]:
    yield
    await close_connections()
