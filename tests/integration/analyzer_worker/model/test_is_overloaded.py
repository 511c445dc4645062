"""The provider answers 429."""

import time

import pytest

from analyzer_worker.model_errors import Retryable
from tests.integration.analyzer_worker.model.asking import POOL, ask, model_for
from tests.support.openai_server import Answer, Behaviour, OpenAIServer, failing, honest, in_turn

# litellm's own models and those of its dependencies warn as they are imported and filled; none of it is ours.
pytestmark = [pytest.mark.filterwarnings("default")]


def told_to_wait(value: str) -> Behaviour:
    return lambda _: Answer(status=429, retry_after=value)


async def test_it_is_asked_again(server: OpenAIServer) -> None:
    """A provider that recovers gives an analysis in the end."""
    server.behaviour = in_turn(failing(429), honest)
    assert (await ask(model_for(server), POOL)).category == "database_issue"
    assert len(server.bodies) == 2


async def test_it_is_left_alone_after_three_attempts(server: OpenAIServer) -> None:
    """No retries but our own are made, and nobody bills them."""
    server.behaviour = failing(429)
    with pytest.raises(Retryable) as caught:
        await ask(model_for(server), POOL)
    assert len(server.bodies) == 3
    assert not caught.value.may_be_billed


async def test_the_pause_that_it_asks_for_is_kept(server: OpenAIServer) -> None:
    """Retry-After in seconds, a part of one too: the next attempt is not made before."""
    server.behaviour = in_turn(told_to_wait("0.4"), honest)
    began = time.monotonic()
    await ask(model_for(server), POOL)
    assert time.monotonic() - began >= 0.4


@pytest.mark.parametrize("value", ["3600", "Fri, 31 Dec 2100 23:59:59 GMT"])
async def test_nobody_waits_beyond_the_deadline(server: OpenAIServer, value: str) -> None:
    """Where it asks for more than is left, as seconds or as a date, the failure is told at once."""
    server.behaviour = told_to_wait(value)
    with pytest.raises(Retryable) as caught:
        await ask(model_for(server), POOL)
    assert caught.value.after >= 3_600
    assert len(server.bodies) == 1
