"""Which model the settings name."""

import pytest

from analyzer_worker.litellm_adapter import model_name
from runtime.settings import load_settings
from tests.support.openai_server import KEY

# litellm's own models and those of its dependencies warn as they are imported and filled; none of it is ours.
pytestmark = [pytest.mark.filterwarnings("default")]


def test_a_key_alone_chooses_the_default_model() -> None:
    """OPENAI_API_KEY works as named; without key and model the rules work alone."""
    assert model_name(load_settings(_env_file=None, openai_api_key=KEY, llm_model="")) == "openai/gpt-4o-mini"
    assert model_name(load_settings(_env_file=None, openai_api_key=None, llm_model="")) == ""
    assert model_name(load_settings(_env_file=None, llm_model="ollama/llama3")) == "ollama/llama3"
