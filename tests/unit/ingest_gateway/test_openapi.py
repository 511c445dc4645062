"""The description of the routes: complete, and true of what they do."""

import json
from typing import Any

import jsonschema  # type: ignore[import-untyped] # it ships no types
import pytest

from tests.unit.ingest_gateway.gateway_client import NDJSON, Gateway

_JSON = "application/json"
_PROBLEM = "application/problem+json"


@pytest.fixture
def described(gateway: Gateway) -> dict[str, Any]:
    """/openapi.json."""
    described: dict[str, Any] = gateway.client.get("/openapi.json").json()
    return described


def _post(described: dict[str, Any], path: str) -> dict[str, Any]:
    operation: dict[str, Any] = described["paths"][path]["post"]
    return operation


def _validate(value: Any, schema: dict[str, Any], described: dict[str, Any]) -> None:
    jsonschema.validate(value, schema | {"components": described["components"]})


@pytest.mark.parametrize("path", ["/api/v1/events", "/api/v1/events/batch"])
def test_every_answer_is_described(described: dict[str, Any], path: str) -> None:
    """With every error that the gateway gives."""
    statuses = {"201", "400", "408", "409", "413", "415", "422", "503"} | ({"207"} if path.endswith("batch") else set())
    assert set(_post(described, path)["responses"]) == statuses


def test_the_examples_can_be_sent_as_they_are(gateway: Gateway, described: dict[str, Any]) -> None:
    """A newcomer presses 'Try it out' and gets a 201."""
    single = _post(described, "/api/v1/events")["requestBody"]["content"][_JSON]
    for example in single["examples"].values():
        _validate(example["value"], single["schema"], described)
        assert gateway.send(json.dumps(example["value"]).encode()).status_code == 201
    batch = _post(described, "/api/v1/events/batch")["requestBody"]["content"]
    _validate(batch[_JSON]["example"], batch[_JSON]["schema"], described)
    assert gateway.send(json.dumps(batch[_JSON]["example"]).encode(), to="/batch").status_code == 201
    assert gateway.send(batch[NDJSON]["example"].encode(), to="/batch", media_type=NDJSON).status_code == 201


@pytest.mark.parametrize("path", ["/api/v1/events", "/api/v1/events/batch"])
def test_the_examples_of_answers_have_the_shape_they_claim(described: dict[str, Any], path: str) -> None:
    """Each against its own schema."""
    for answer in _post(described, path)["responses"].values():
        (content,) = answer["content"].values()
        _validate(content["example"], content["schema"], described)


def test_real_answers_have_the_shape_that_is_described(gateway: Gateway, described: dict[str, Any]) -> None:
    """Good ones and bad ones."""
    responses = _post(described, "/api/v1/events")["responses"]
    for body, status in ((b'{"service":"a","level":"INFO","message":"m"}', "201"), (b"{", "400"), (b"{}", "422")):
        answer = gateway.send(body)
        assert str(answer.status_code) == status
        content = responses[status]["content"]
        _validate(answer.json(), content[answer.headers["content-type"]]["schema"], described)
    assert _PROBLEM in responses["503"]["content"]
    assert "Retry-After" in responses["503"]["headers"]


def test_the_service_routes_are_described_too(described: dict[str, Any]) -> None:
    """What FastAPI knows by itself stays."""
    assert {"/", "/health", "/readyz", "/metrics"} <= set(described["paths"])
