"""The one document of all routes: whoever reads it finds an example of everything."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from ops_assist.front_door import create_app
from runtime.settings import load_settings


def _operations() -> Iterator[tuple[str, dict[str, Any]]]:
    document = TestClient(create_app(load_settings(_env_file=None))).get("/openapi.json").json()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield f"{method} {path}", operation


OPERATIONS = dict(_operations())


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_route_has_examples(name: str) -> None:
    """Of each answer, good or bad, of the body, and words for each parameter."""
    operation = OPERATIONS[name]
    contents = [
        (where, kind, content)
        for where, part in [*operation["responses"].items(), ("request", operation.get("requestBody", {}))]
        for kind, content in part.get("content", {}).items()
    ]

    assert operation.get("summary")
    assert any(where.startswith("2") for where, _, _ in contents)
    assert [
        f"{where} {kind}" for where, kind, content in contents if not {"example", "examples"} & content.keys()
    ] == []
    parameters = operation.get("parameters", [])
    assert [each["name"] for each in parameters if not (each.get("description") or "examples" in each["schema"])] == []
    problems = [kind for where, kind, _ in contents if where[0] in "45" and "/readyz" not in name]
    assert set(problems) <= {"application/problem+json"} or name == "post /v1/logs"  # the protocol says otherwise
