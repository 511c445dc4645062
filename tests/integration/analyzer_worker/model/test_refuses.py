"""A wrong key or model."""

import pytest

from analyzer_worker.model_errors import Permanent
from tests.integration.analyzer_worker.model.asking import POOL, ask, model_for
from tests.support.openai_server import OpenAIServer, failing

# litellm's own models and those of its dependencies warn as they are imported and filled; none of it is ours.
pytestmark = [pytest.mark.filterwarnings("default")]


@pytest.mark.parametrize("status", [400, 401, 403, 404])
async def test_a_refused_request_is_not_repeated(server: OpenAIServer, status: int) -> None:
    """A wrong key or model stays wrong."""
    server.behaviour = failing(status)
    with pytest.raises(Permanent):
        await ask(model_for(server), POOL)
    assert len(server.bodies) == 1
