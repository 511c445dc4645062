"""A model that answers in another form."""

import pytest

from tests.integration.analyzer_worker.model.asking import is_repaired_once
from tests.support.openai_server import Answer, Behaviour, OpenAIServer, saying

# litellm's own models and those of its dependencies warn as they are imported and filled; none of it is ours.
pytestmark = [pytest.mark.filterwarnings("default")]


@pytest.mark.parametrize(
    "bad",
    [
        lambda _: Answer("Sure! The database is down."),
        lambda _: Answer("[]"),
        saying(extra="field"),
        saying(confidence=7),
        saying(recommended_actions=[]),
    ],
)
async def test_another_form_is_repaired_once(server: OpenAIServer, bad: Behaviour) -> None:
    """No JSON, other fields, or values of another kind."""
    await is_repaired_once(server, bad)
