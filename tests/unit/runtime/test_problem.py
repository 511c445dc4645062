"""Error answers: every one is a problem in the sense of RFC 9457, and none shows a stack trace."""

from typing import Annotated, Any

import pytest
from fastapi import FastAPI, HTTPException, Query
from fastapi.testclient import TestClient

from runtime.problem import MEDIA_TYPE, Problem, install


@pytest.fixture
def client() -> TestClient:
    """An app with a route for each kind of failure."""
    app = FastAPI()
    install(app)

    @app.get("/problem")
    async def problem() -> None:
        raise Problem(409, "It is closed; open a new one", headers={"Retry-After": "3"}, current="closed")

    @app.get("/http")
    async def http() -> None:
        raise HTTPException(404, "There is no incident 7")

    @app.get("/checked")
    async def checked(limit: Annotated[int, Query(ge=1)]) -> int:
        return limit

    @app.get("/bug")
    async def bug() -> None:
        raise RuntimeError("secret detail of our own")

    return TestClient(app, raise_server_exceptions=False)


def _assert_problem(answer: Any, status: int) -> dict[str, Any]:
    assert answer.status_code == status
    assert answer.headers["content-type"] == MEDIA_TYPE
    body: dict[str, Any] = answer.json()
    assert {"type", "title", "status", "detail"} <= set(body)
    assert body["status"] == status
    return body


def test_a_problem_carries_its_detail_headers_and_members(client: TestClient) -> None:
    """As they were raised."""
    answer = client.get("/problem")
    body = _assert_problem(answer, 409)
    assert body["title"] == "Conflict"
    assert body["detail"] == "It is closed; open a new one"
    assert body["current"] == "closed"
    assert answer.headers["retry-after"] == "3"


def test_an_http_exception_is_a_problem(client: TestClient) -> None:
    """Its detail stays."""
    assert _assert_problem(client.get("/http"), 404)["detail"] == "There is no incident 7"


def test_an_unknown_path_and_a_wrong_method_are_problems(client: TestClient) -> None:
    """Those of the framework too."""
    _assert_problem(client.get("/nowhere"), 404)
    answer = client.post("/http")
    _assert_problem(answer, 405)
    assert answer.headers["allow"] == "GET"


def test_a_parameter_that_breaks_a_rule_is_named(client: TestClient) -> None:
    """422 with the field."""
    body = _assert_problem(client.get("/checked?limit=0"), 422)
    assert [error["field"] for error in body["errors"]] == ["limit"]
    assert "limit" in body["detail"]


def test_a_bug_is_a_500_that_tells_nothing_of_itself(client: TestClient) -> None:
    """It is in the log instead."""
    answer = client.get("/bug")
    _assert_problem(answer, 500)
    assert "secret" not in answer.text
