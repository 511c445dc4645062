"""The provider answers 500 or 503."""

import pytest

from analyzer_worker.model_errors import Retryable
from tests.integration.analyzer_worker.model.asking import POOL, ask, model_for
from tests.support.openai_server import OpenAIServer, failing, honest, in_turn

# litellm's own models and those of its dependencies warn as they are imported and filled; none of it is ours.
pytestmark = [pytest.mark.filterwarnings("default")]


@pytest.mark.parametrize("status", [500, 503])
async def test_passing_trouble_is_tried_again(server: OpenAIServer, status: int) -> None:
    """One that recovers gives an analysis in the end."""
    server.behaviour = in_turn(failing(status), honest)
    assert (await ask(model_for(server), POOL)).category == "database_issue"
    assert len(server.bodies) == 2


@pytest.mark.parametrize("status", [500, 503])
async def test_lasting_trouble_ends_after_three_attempts(server: OpenAIServer, status: int) -> None:
    """No retries but our own are made, and nobody bills them."""
    server.behaviour = failing(status)
    with pytest.raises(Retryable) as caught:
        await ask(model_for(server), POOL)
    assert len(server.bodies) == 3
    assert not caught.value.may_be_billed
