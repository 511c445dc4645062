"""A model that makes up categories and severities."""

import pytest

from tests.integration.analyzer_worker.model.asking import is_repaired_once
from tests.support.openai_server import Behaviour, OpenAIServer, saying

# litellm's own models and those of its dependencies warn as they are imported and filled; none of it is ours.
pytestmark = [pytest.mark.filterwarnings("default")]


@pytest.mark.parametrize(
    "bad",
    [
        saying(category="gremlins"),
        saying(severity="P0"),
    ],
)
async def test_what_is_on_no_list_is_repaired_once(server: OpenAIServer, bad: Behaviour) -> None:
    """Both lists are closed."""
    await is_repaired_once(server, bad)
