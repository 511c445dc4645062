"""A model that takes longer than anybody waits."""

import time

import pytest

from analyzer_worker.model_errors import Retryable
from tests.integration.analyzer_worker.model.asking import POOL, ask, model_for
from tests.support.openai_server import OpenAIServer, slow

# litellm's own models and those of its dependencies warn as they are imported and filled; none of it is ours.
pytestmark = [pytest.mark.filterwarnings("default")]


async def test_a_slow_model_ends_at_the_deadline(server: OpenAIServer) -> None:
    """LLM_TIMEOUT bounds the whole analysis."""
    server.behaviour = slow(30)
    started = time.monotonic()
    with pytest.raises(Retryable):
        await ask(model_for(server, llm_timeout=0.5), POOL)
    assert time.monotonic() - started < 5
