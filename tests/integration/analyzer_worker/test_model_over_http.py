"""The model's path through litellm to a server that behaves and misbehaves."""

import json
import time
from collections.abc import Iterator

import pytest

from analyzer_worker.litellm_adapter import LiteLLM, model_name
from analyzer_worker.model import Model
from analyzer_worker.model_errors import ModelError, Permanent, Retryable, Unusable
from analyzer_worker.rules import analyze_by_rules
from analyzer_worker.verdict import Sample, Verdict
from runtime.metrics import CLAIMS_DROPPED, SECRETS_REDACTED
from runtime.settings import Settings, load_settings
from schemas.incident import Incident
from tests.support.openai_server import (
    KEY,
    OpenAIServer,
    claim,
    cut_short,
    failing,
    honest,
    in_turn,
    running_server,
    saying,
    slow,
)

# litellm's own models and those of its dependencies warn as they are imported and filled; none of it is ours.
pytestmark = [pytest.mark.filterwarnings("default")]

SECOND = 1_000_000
POOL = "Database connection pool exhausted"


@pytest.fixture(scope="module")
def server() -> Iterator[OpenAIServer]:
    with running_server() as running:
        yield running


@pytest.fixture(autouse=True)
def _fresh(server: OpenAIServer) -> None:
    server.behaviour = honest
    server.bodies.clear()


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


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_passing_trouble_is_tried_again(server: OpenAIServer, status: int) -> None:
    """An overloaded provider that recovers gives an analysis in the end."""
    server.behaviour = in_turn(failing(status), honest)
    assert (await ask(model_for(server), POOL)).category == "database_issue"
    assert len(server.bodies) == 2


@pytest.mark.parametrize("status", [429, 500])
async def test_lasting_trouble_ends_after_three_attempts(server: OpenAIServer, status: int) -> None:
    """No retries but our own are made."""
    server.behaviour = failing(status)
    with pytest.raises(Retryable):
        await ask(model_for(server), POOL)
    assert len(server.bodies) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404])
async def test_a_refused_request_is_not_repeated(server: OpenAIServer, status: int) -> None:
    """A wrong key or model stays wrong."""
    server.behaviour = failing(status)
    with pytest.raises(Permanent):
        await ask(model_for(server), POOL)
    assert len(server.bodies) == 1


async def test_a_slow_model_ends_at_the_deadline(server: OpenAIServer) -> None:
    """LLM_TIMEOUT bounds the whole analysis."""
    server.behaviour = slow(30)
    started = time.monotonic()
    with pytest.raises(Retryable):
        await ask(model_for(server, llm_timeout=0.5), POOL)
    assert time.monotonic() - started < 5


async def test_nobody_there_is_passing_trouble() -> None:
    """A server that is not there does not end in an unknown error."""
    with running_server() as gone:
        model = model_for(gone)
    with pytest.raises(Retryable):
        await ask(model, POOL)


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


async def test_severity_may_rise_and_never_fall(server: OpenAIServer) -> None:
    """The rules' severity is the floor."""
    server.behaviour = saying(severity="P3")
    assert (await ask(model_for(server), POOL)).severity == "P1"
    server.behaviour = saying(severity="P1")
    assert (await ask(model_for(server), "Rate limit exceeded")).severity == "P1"


SECRETS = [
    "hunter2-horse",
    "AKIAIOSFODNN7EXAMPLE",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.s5fGrGQm",
    "bob.miller@example.com",
    "203.0.113.77",
    "4111 1111 1111 1111",
    "jdoe",
    "s3cr3tpw",
]


async def test_no_secret_leaves(server: OpenAIServer) -> None:
    """Nothing that was seeded is found in any request, not in the repair either; it is counted by kind."""
    server.behaviour = saying(category="gremlins")
    before = SECRETS_REDACTED.labels("email")._value.get()
    texts = [
        f"login failed password={SECRETS[0]}",
        f"S3 upload with {SECRETS[1]} denied",
        f"Authorization: Bearer {SECRETS[2]}",
        f"mail to {SECRETS[3]} bounced from {SECRETS[4]}",
        f"card {SECRETS[5]} declined, see /home/{SECRETS[6]}/log",
        f"cannot connect to postgres://app:{SECRETS[7]}@db/x",
    ]
    with pytest.raises(ModelError):
        await ask(model_for(server), *texts, service=f"svc {SECRETS[3]}")
    sent = b"\n".join(server.bodies).decode()
    assert len(server.bodies) == 2
    assert [secret for secret in [*SECRETS, KEY] if secret in sent] == []
    assert SECRETS_REDACTED.labels("email")._value.get() > before


def test_a_key_alone_chooses_the_default_model() -> None:
    """OPENAI_API_KEY works as named; without key and model the rules work alone."""
    assert model_name(load_settings(_env_file=None, openai_api_key=KEY, llm_model="")) == "openai/gpt-4o-mini"
    assert model_name(load_settings(_env_file=None, openai_api_key=None, llm_model="")) == ""
    assert model_name(load_settings(_env_file=None, llm_model="ollama/llama3")) == "ollama/llama3"
