"""One origin in front of two apps."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import BaseModel

from ops_assist.front_door import FrontDoor, join
from runtime import problem
from runtime.health import health_router
from runtime.settings import load_settings


async def _there() -> None:
    """A dependency that is there."""


async def _away() -> str:
    return "no broker"


class Life:
    """Notes which lifespans began and ended."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def app(self, name: str, check: Any = _there) -> FastAPI:
        @asynccontextmanager
        async def lifespan(_: FastAPI) -> AsyncIterator[None]:
            self.notes.append(f"{name} began")
            yield
            self.notes.append(f"{name} ended")

        app = FastAPI(title=name, lifespan=lifespan)
        problem.install(app)
        app.include_router(health_router(load_settings(_env_file=None), name, {"dependency": check}))
        return app


def _gateway(life: Life, check: Any = _there) -> FastAPI:
    app = life.app("gateway", check)

    class Item(BaseModel):
        level: str

    @app.post("/api/v1/events", tags=["events"])
    async def one(item: Item) -> dict[str, str]:
        return {"by": f"gateway {item.level}"}

    return app


def _query(life: Life) -> FastAPI:
    app = life.app("query")

    class Item(BaseModel):
        id: int

    @app.get("/api/v1/events", tags=["events"])
    async def events() -> Item:
        return Item(id=1)

    @app.get("/api/v1/incidents/{incident}")
    async def incident(incident: str) -> dict[str, str]:
        return {"by": f"query {incident}"}

    return app


def _verify(life: Life) -> FastAPI:
    app = life.app("verify")

    @app.get("/api/v1/incidents/{number}/verify")
    async def verify(number: int) -> dict[str, str]:
        return {"by": f"verify {number}"}

    return app


def _explain(life: Life) -> FastAPI:
    app = life.app("explain")

    @app.get("/api/v1/services/{service:path}/explain")
    async def explain(service: str) -> dict[str, str]:
        return {"by": f"explain {service}"}

    return app


def _door(life: Life, gateway: FastAPI | None = None, query: FastAPI | None = None) -> FrontDoor:
    return join(
        load_settings(_env_file=None, environment="test"),
        gateway=gateway or _gateway(life),
        query=query or _query(life),
        explain=_explain(life),
        verify=_verify(life),
    )


@pytest.fixture
def life() -> Life:
    return Life()


@pytest.fixture
def client(life: Life) -> Iterator[TestClient]:
    with TestClient(_door(life)) as client:
        yield client


def test_a_path_that_both_serve_is_told_apart_by_its_method(client: TestClient) -> None:
    """POST of events is the gateway's, GET of events the query API's."""
    assert client.post("/api/v1/events", json={"level": "ERROR"}).json() == {"by": "gateway ERROR"}
    assert client.get("/api/v1/events").json() == {"id": 1}


def test_everything_else_is_the_query_apis(client: TestClient) -> None:
    """Paths with parameters are served, unknown ones are its 404, as problems."""
    assert client.get("/api/v1/incidents/7").json() == {"by": "query 7"}
    missing = client.get("/nowhere")
    assert (missing.status_code, missing.headers["content-type"]) == (404, "application/problem+json")


def test_doubts_go_to_verify(client: TestClient) -> None:
    """Whether the log agrees with an incident is answered by who can read the log."""
    assert client.get("/api/v1/incidents/7/verify").json() == {"by": "verify 7"}
    assert client.post("/api/v1/incidents/7/verify").status_code == 405
    assert "/api/v1/incidents/{number}/verify" in client.get("/openapi.json").json()["paths"]


@pytest.mark.parametrize("service", ["checkout", "team-1%2Fcheckout"])
def test_questions_why_go_to_explain(client: TestClient, service: str) -> None:
    """Whatever characters the name of the service has; another method is its own 405."""
    path = f"/api/v1/services/{service}/explain"
    assert client.get(path).json() == {"by": f"explain {service.replace('%2F', '/')}"}
    assert client.post(path).status_code == 405
    assert "/api/v1/services/{service}/explain" in client.get("/openapi.json").json()["paths"]


def test_a_method_that_nobody_takes_names_all_that_are_taken(client: TestClient) -> None:
    """405 is a problem whose Allow joins both apps' methods."""
    answer = client.delete("/api/v1/events")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == "/api/v1/events does not take DELETE; it takes GET, POST"


def test_a_method_that_one_app_does_not_take_is_that_apps_405(client: TestClient) -> None:
    """A path of one app alone is left to it."""
    answer = client.put("/api/v1/incidents/7")
    assert (answer.status_code, answer.headers["content-type"]) == (405, "application/problem+json")


def test_there_is_one_document_for_both(client: TestClient) -> None:
    """/openapi.json has both apps' operations, and each schema that shares a name keeps its own content."""
    document = client.get("/openapi.json").json()
    assert set(document["paths"]["/api/v1/events"]) == {"get", "post"}
    assert "/api/v1/incidents/{incident}" in document["paths"]
    schemas = document["components"]["schemas"]
    assert set(schemas["Item"]["properties"]) == {"level"}
    assert set(schemas["query_Item"]["properties"]) == {"id"}
    answer = document["paths"]["/api/v1/events"]["get"]["responses"]["200"]
    assert answer["content"]["application/json"]["schema"]["$ref"] == "#/components/schemas/query_Item"


def test_the_service_routes_are_its_own(client: TestClient) -> None:
    """/, /health, /metrics and /docs answer for the whole."""
    assert client.get("/").json()["message"] == "Ops-Assist"
    assert client.get("/health").json() == {"status": "healthy", "environment": "test"}
    assert "ops_gateway_events_accepted_total" in client.get("/metrics").text
    assert "/openapi.json" in client.get("/docs").text
    assert client.post("/health").status_code == 405


def test_all_lifespans_begin_and_end(life: Life) -> None:
    """Each app connects at the start and lets go at the end, the last first."""
    with TestClient(_door(life)):
        assert life.notes == ["gateway began", "query began", "explain began", "verify began"]
    assert life.notes[4:] == ["verify ended", "explain ended", "query ended", "gateway ended"]


def test_it_is_ready_only_when_both_are(life: Life) -> None:
    """/readyz is 503 with the reason of the app that is not ready."""
    with TestClient(_door(life, gateway=_gateway(life, _away))) as client:
        answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["reasons"] == {"ingest_gateway": "dependency: no broker"}


def test_endless_answers_are_ended_before_a_stop(life: Life) -> None:
    """The hooks that an app has for its shutdown are the door's too."""
    query = _query(life)
    query.state.before_shutdown = [life.notes.clear]
    door = _door(life, query=query)
    assert door.state.before_shutdown == [life.notes.clear]
