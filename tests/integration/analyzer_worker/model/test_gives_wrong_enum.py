"""The provider answers with a category or a severity that there is not."""

import pytest

from analyzer_worker.model_errors import Unusable
from tests.integration.analyzer_worker.model.asking import POOL, ask, model_for
from tests.support.openai_server import OpenAIServer, honest, in_turn, saying

# litellm's own models and those of its dependencies warn as they are imported and filled; none of it is ours.
pytestmark = [pytest.mark.filterwarnings("default")]


@pytest.mark.parametrize(
    "bad",
    [saying(category="gremlins"), saying(severity="P0"), saying(severity=None)],
    ids=["category", "severity", "null"],
)
async def test_it_is_repaired_once(server: OpenAIServer, bad: object) -> None:
    """The model is told what was wrong; a good second answer counts, a second bad one ends it."""
    assert callable(bad)
    server.behaviour = in_turn(bad, honest)
    assert (await ask(model_for(server), POOL)).category == "database_issue"
    assert len(server.bodies) == 2
    assert b"This cannot be used" in server.bodies[1]
    server.behaviour = bad
    with pytest.raises(Unusable):
        await ask(model_for(server), POOL)
    assert len(server.bodies) == 4
