"""A model behind litellm, as the worker asks it, for the tests of one behaviour each."""

from typing import Final

import pytest

from analyzer_worker.litellm_adapter import LiteLLM
from analyzer_worker.model import Model
from analyzer_worker.model_errors import Unusable
from analyzer_worker.rules import analyze_by_rules
from analyzer_worker.verdict import Sample, Verdict
from runtime.settings import Settings, load_settings
from schemas.incident import Incident
from tests.support.openai_server import KEY, Behaviour, OpenAIServer, honest, in_turn

SECOND: Final = 1_000_000
POOL: Final = "Database connection pool exhausted"


def settings_for(server: OpenAIServer, **changes: object) -> Settings:
    return load_settings(
        **{
            "_env_file": None,
            "llm_model": "openai/gpt-4o-mini",
            "llm_api_base": server.url,
            "openai_api_key": KEY,
            "llm_timeout": 10,
        }
        | changes
    )


def model_for(server: OpenAIServer, **changes: object) -> Model:
    settings = settings_for(server, **changes)
    return Model(LiteLLM(settings), settings.llm_timeout, first_pause=0.01)


def incident(service: str = "user-service") -> Incident:
    return Incident("k", 1, service, "error-burst", "open", 5, 0, 42 * SECOND, 0, 0, 5, 300, "", 0, [], [])


def samples(*texts: str) -> list[Sample]:
    return [Sample(f"event-{number}", "ERROR", text, number * SECOND) for number, text in enumerate(texts)]


async def ask(model: Model, *texts: str, service: str = "user-service") -> Verdict:
    events = samples(*texts)
    return await model.analyze(incident(service), events, analyze_by_rules(incident(service), events).severity)


async def is_repaired_once(server: OpenAIServer, bad: Behaviour) -> None:
    """The model is told what was wrong; a good second answer counts, a second bad one ends it."""
    server.behaviour = in_turn(bad, honest)
    assert (await ask(model_for(server), POOL)).category == "database_issue"
    assert len(server.bodies) == 2
    server.behaviour = bad
    with pytest.raises(Unusable):
        await ask(model_for(server), POOL)
    assert len(server.bodies) == 4
