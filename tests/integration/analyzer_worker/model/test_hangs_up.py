"""The provider takes the question and hangs up."""

import pytest

from analyzer_worker.model_errors import Retryable
from tests.integration.analyzer_worker.model.asking import POOL, ask, model_for
from tests.support.openai_server import Answer, OpenAIServer, honest, in_turn

# litellm's own models and those of its dependencies warn as they are imported and filled; none of it is ours.
pytestmark = [pytest.mark.filterwarnings("default")]


async def test_it_is_asked_again(server: OpenAIServer) -> None:
    """As after any passing trouble."""
    server.behaviour = in_turn(lambda _: Answer(hang_up=True), honest)
    assert (await ask(model_for(server), POOL)).category == "database_issue"
    assert len(server.bodies) == 2


async def test_what_nobody_heard_may_be_billed(server: OpenAIServer) -> None:
    """It had the whole question and may have answered it."""
    server.behaviour = lambda _: Answer(hang_up=True)
    with pytest.raises(Retryable) as caught:
        await ask(model_for(server), POOL)
    assert caught.value.may_be_billed
