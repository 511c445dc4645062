"""The provider stops in the middle of its answer."""

import pytest

from analyzer_worker.model_errors import Unusable
from tests.integration.analyzer_worker.model.asking import POOL, ask, model_for
from tests.support.openai_server import OpenAIServer, cut_short, honest, in_turn

# litellm's own models and those of its dependencies warn as they are imported and filled; none of it is ours.
pytestmark = [pytest.mark.filterwarnings("default")]


async def test_it_is_repaired_once(server: OpenAIServer) -> None:
    """The model is told; a good second answer counts, a second half one ends it."""
    server.behaviour = in_turn(cut_short, honest)
    assert (await ask(model_for(server), POOL)).category == "database_issue"
    assert len(server.bodies) == 2
    server.behaviour = cut_short
    with pytest.raises(Unusable):
        await ask(model_for(server), POOL)
    assert len(server.bodies) == 4
