"""A server that answers well."""

import json

import pytest

from tests.integration.analyzer_worker.model.asking import POOL, ask, model_for
from tests.support.openai_server import OpenAIServer, saying

# litellm's own models and those of its dependencies warn as they are imported and filled; none of it is ours.
pytestmark = [pytest.mark.filterwarnings("default")]


async def test_a_good_answer_becomes_a_verdict(server: OpenAIServer) -> None:
    """Category, severity, quotes and cost are the model's, the ids those of the events."""
    verdict = await ask(model_for(server), POOL)
    assert (verdict.category, verdict.severity, verdict.analyzed_by) == ("database_issue", "P1", "openai/gpt-4o-mini")
    assert [(item.event_id, item.quote) for item in verdict.evidence] == [("event-0", POOL)]
    assert verdict.cost_usd > 0


async def test_the_request_asks_for_the_schema_once(server: OpenAIServer) -> None:
    """One request, with a JSON Schema, a limit on the answer, and the events between marks."""
    await ask(model_for(server), POOL)
    assert len(server.bodies) == 1
    body = json.loads(server.bodies[0])
    assert body["response_format"]["json_schema"]["strict"] is True
    assert body["max_tokens"] > 0
    assert body["messages"][1]["content"].startswith("<evidence ")


async def test_severity_may_rise_and_never_fall(server: OpenAIServer) -> None:
    """The rules' severity is the floor."""
    server.behaviour = saying(severity="P3")
    assert (await ask(model_for(server), POOL)).severity == "P1"
    server.behaviour = saying(severity="P1")
    assert (await ask(model_for(server), "Rate limit exceeded")).severity == "P1"
