"""The provider quotes what was never logged."""

import pytest

from analyzer_worker.model_errors import Unusable
from runtime.metrics import CLAIMS_DROPPED
from tests.integration.analyzer_worker.model.asking import POOL, ask, model_for
from tests.support.openai_server import OpenAIServer, claim, saying

# litellm's own models and those of its dependencies warn as they are imported and filled; none of it is ours.
pytestmark = [pytest.mark.filterwarnings("default")]


async def test_forged_quotes_are_dropped_and_counted(server: OpenAIServer) -> None:
    """Only quotes that stand in the event they name are kept."""
    before = CLAIMS_DROPPED._value.get()
    claims = [("e1", "pool exhausted"), ("e1", "all data was lost"), ("e9", POOL)]
    server.behaviour = saying(claims=[claim(number, quote, f"So says {quote}.") for number, quote in claims])
    verdict = await ask(model_for(server), POOL)
    assert verdict.summary == "So says pool exhausted."
    assert [(item.event_id, item.quote) for item in verdict.evidence] == [("event-0", "pool exhausted")]
    assert CLAIMS_DROPPED._value.get() - before == 2


@pytest.mark.parametrize(("event", "quote"), [("e1", "never logged"), ("e99", POOL)])
async def test_an_answer_of_nothing_else_is_unusable(server: OpenAIServer, event: str, quote: str) -> None:
    """After one repair."""
    server.behaviour = saying(claims=[claim(event, quote)])
    with pytest.raises(Unusable):
        await ask(model_for(server), POOL)
    assert len(server.bodies) == 2
