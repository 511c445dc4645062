"""A provider that answers 429, 500 or 503."""

import time

import pytest

from analyzer_worker.model_errors import Retryable
from tests.integration.analyzer_worker.model.asking import POOL, ask, model_for
from tests.support.openai_server import Answer, OpenAIServer, failing, honest, in_turn

# litellm's own models and those of its dependencies warn as they are imported and filled; none of it is ours.
pytestmark = [pytest.mark.filterwarnings("default")]


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_passing_trouble_is_tried_again(server: OpenAIServer, status: int) -> None:
    """An overloaded provider that recovers gives an analysis in the end."""
    server.behaviour = in_turn(failing(status), honest)
    assert (await ask(model_for(server), POOL)).category == "database_issue"
    assert len(server.bodies) == 2


@pytest.mark.parametrize("status", [429, 500])
async def test_lasting_trouble_ends_after_three_attempts(server: OpenAIServer, status: int) -> None:
    """No retries but our own are made."""
    server.behaviour = failing(status)
    with pytest.raises(Retryable):
        await ask(model_for(server), POOL)
    assert len(server.bodies) == 3


async def test_the_pause_that_the_provider_asks_for_is_kept(server: OpenAIServer) -> None:
    """Retry-After in seconds; one that is a date is left to our own pause."""
    server.behaviour = in_turn(lambda _: Answer(status=429, retry_after="1"), honest)
    began = time.monotonic()
    await ask(model_for(server), POOL)
    assert time.monotonic() - began >= 1
    server.behaviour = in_turn(lambda _: Answer(status=429, retry_after="Fri, 31 Dec 2027 23:59:59 GMT"), honest)
    await ask(model_for(server), POOL)
