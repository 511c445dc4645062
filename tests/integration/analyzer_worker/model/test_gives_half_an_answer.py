"""A model that is cut short."""

import pytest

from tests.integration.analyzer_worker.model.asking import is_repaired_once
from tests.support.openai_server import OpenAIServer, cut_short

# litellm's own models and those of its dependencies warn as they are imported and filled; none of it is ours.
pytestmark = [pytest.mark.filterwarnings("default")]


async def test_half_an_answer_is_repaired_once(server: OpenAIServer) -> None:
    """Whatever its first half says."""
    await is_repaired_once(server, cut_short)
