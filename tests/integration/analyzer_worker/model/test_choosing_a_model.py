"""Which model the settings name."""

import pytest

from analyzer_worker.litellm_adapter import LiteLLM, model_name
from runtime.settings import load_settings
from tests.integration.analyzer_worker.model.asking import POOL, ask, model_for
from tests.support.openai_server import KEY, OpenAIServer

# litellm's own models and those of its dependencies warn as they are imported and filled; none of it is ours.
pytestmark = [pytest.mark.filterwarnings("default")]


async def test_the_price_is_that_of_the_model_that_was_asked(server: OpenAIServer) -> None:
    """Not of the one that the answer says it is from, which here is a cheaper one."""
    assert (await ask(model_for(server, llm_model="openai/gpt-4o"), POOL)).cost_usd == pytest.approx(
        1_000 * 2.5e-6 + 100 * 10e-6
    )


def test_a_server_of_ones_own_is_for_models_of_its_kind() -> None:
    """A model of another provider that stands in is asked where it lives."""
    settings = load_settings(_env_file=None, llm_model="openai/mine", llm_api_base="http://localhost:1/v1")
    places = [
        LiteLLM(settings, name)._options.get("api_base") for name in ("openai/mine", "gpt-4o", "anthropic/claude")
    ]
    assert places == ["http://localhost:1/v1", "http://localhost:1/v1", None]


def test_a_key_alone_chooses_the_default_model() -> None:
    """OPENAI_API_KEY works as named; without key and model the rules work alone."""
    assert model_name(load_settings(_env_file=None, openai_api_key=KEY, llm_model="")) == "openai/gpt-4o-mini"
    assert model_name(load_settings(_env_file=None, openai_api_key=None, llm_model="")) == ""
    assert model_name(load_settings(_env_file=None, llm_model="ollama/llama3")) == "ollama/llama3"
