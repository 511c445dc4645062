"""Half an answer, wrong JSON, wrong enums, forged quotes."""

import pytest

from analyzer_worker.model_errors import Unusable
from runtime.metrics import CLAIMS_DROPPED
from tests.integration.analyzer_worker.model.asking import POOL, ask, model_for
from tests.support.openai_server import OpenAIServer, claim, cut_short, honest, in_turn, saying

# litellm's own models and those of its dependencies warn as they are imported and filled; none of it is ours.
pytestmark = [pytest.mark.filterwarnings("default")]


@pytest.mark.parametrize(
    "bad",
    [
        cut_short,
        saying(category="gremlins"),
        saying(severity="P0"),
        saying(confidence=7),
        saying(recommended_actions=[]),
        saying(claims=[]),
        saying(claims=[claim("e1", "never logged")]),
        saying(claims=[claim("e99", POOL)]),
        saying(extra="field"),
    ],
)
async def test_an_unusable_answer_is_repaired_once(server: OpenAIServer, bad: object) -> None:
    """The model is told what was wrong; a good second answer counts, a second bad one ends it."""
    assert callable(bad)
    server.behaviour = in_turn(bad, honest)
    assert (await ask(model_for(server), POOL)).category == "database_issue"
    assert len(server.bodies) == 2
    server.behaviour = bad
    with pytest.raises(Unusable):
        await ask(model_for(server), POOL)
    assert len(server.bodies) == 4


async def test_forged_quotes_are_dropped_and_counted(server: OpenAIServer) -> None:
    """Only quotes that stand in the event they name are kept."""
    before = CLAIMS_DROPPED._value.get()
    claims = [("e1", "pool exhausted"), ("e1", "all data was lost"), ("e9", POOL)]
    server.behaviour = saying(claims=[claim(number, quote, f"So says {quote}.") for number, quote in claims])
    verdict = await ask(model_for(server), POOL)
    assert verdict.summary == "So says pool exhausted."
    assert [(item.event_id, item.quote) for item in verdict.evidence] == [("event-0", "pool exhausted")]
    assert CLAIMS_DROPPED._value.get() - before == 2
