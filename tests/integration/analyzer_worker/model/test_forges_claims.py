"""A model that claims what its evidence does not bear out."""

import pytest

from runtime.metrics import CLAIMS_DROPPED
from tests.integration.analyzer_worker.model.asking import POOL, ask, is_repaired_once, model_for
from tests.support.openai_server import Behaviour, OpenAIServer, claim, saying

# litellm's own models and those of its dependencies warn as they are imported and filled; none of it is ours.
pytestmark = [pytest.mark.filterwarnings("default")]


@pytest.mark.parametrize(
    "bad",
    [saying(claims=[]), saying(claims=[claim("e1", "never logged")]), saying(claims=[claim("e99", POOL)])],
)
async def test_an_answer_without_a_claim_that_holds_is_repaired_once(server: OpenAIServer, bad: Behaviour) -> None:
    """Nothing of it could be shown."""
    await is_repaired_once(server, bad)


async def test_forged_quotes_are_dropped_and_counted(server: OpenAIServer) -> None:
    """Only quotes that stand in the event they name are kept."""
    before = CLAIMS_DROPPED._value.get()
    claims = [("e1", "pool exhausted"), ("e1", "all data was lost"), ("e9", POOL)]
    server.behaviour = saying(claims=[claim(number, quote, f"So says {quote}.") for number, quote in claims])
    verdict = await ask(model_for(server), POOL)
    assert verdict.summary == "So says pool exhausted."
    assert [(item.event_id, item.quote) for item in verdict.evidence] == [("event-0", "pool exhausted")]
    assert CLAIMS_DROPPED._value.get() - before == 2
