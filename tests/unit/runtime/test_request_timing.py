"""Requests are timed by route, never by what a stranger wrote."""

from collections.abc import Iterator

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.responses import StreamingResponse
from fastapi.testclient import TestClient
from prometheus_client import REGISTRY

from runtime.request_timing import RequestTiming


def _app() -> FastAPI:
    router = APIRouter(prefix="/timed")

    @router.get("/things/{thing_id:int}")
    async def thing(thing_id: int) -> int:
        return thing_id

    @router.get("/broken")
    async def broken() -> None:
        raise RuntimeError("on purpose")

    @router.get("/stream")
    async def stream() -> StreamingResponse:
        return StreamingResponse(iter([b"one", b"two"]))

    app = FastAPI(docs_url=None, redoc_url=None)
    app.add_middleware(RequestTiming)
    app.include_router(router)
    return app


@pytest.fixture
def client() -> Iterator[TestClient]:
    with TestClient(_app(), raise_server_exceptions=False) as client:
        yield client


def _count(method: str, route: str, status: int) -> float:
    labels = {"method": method, "route": route, "status": str(status)}
    return REGISTRY.get_sample_value("ops_http_request_seconds_count", labels) or 0.0


def _seen(client: TestClient, method: str, path: str, labels: tuple[str, str, int]) -> float:
    """By how much the count of `labels` grew through one request."""
    before = _count(*labels)
    client.request(method, path)
    return _count(*labels) - before


@pytest.mark.parametrize(
    ("method", "path", "labels"),
    [
        ("GET", "/timed/things/7", ("GET", "/timed/things/{thing_id:int}", 200)),
        ("DELETE", "/timed/things/7", ("DELETE", "/timed/things/{thing_id:int}", 405)),
        ("GET", "/timed/broken", ("GET", "/timed/broken", 500)),
        ("GET", "/timed/stream", ("GET", "/timed/stream", 200)),
        ("GET", "/timed/who-knows", ("GET", "other", 404)),
        ("BREW", "/who-knows", ("other", "other", 404)),
    ],
)
def test_a_request_counts_once_under_its_route(
    client: TestClient, method: str, path: str, labels: tuple[str, str, int]
) -> None:
    """The template of the route, its method and the status of the answer; `other` for what has none."""
    assert _seen(client, method, path, labels) == 1


def test_labels_do_not_grow_with_what_is_asked_for(client: TestClient) -> None:
    """A hundred paths and methods make no new series."""
    for stem in ("/timed/things/{}", "/nowhere/{}"):
        client.get(stem.format(0))
    client.request("M0", "/")
    before = _series()
    for number in range(1, 100):
        client.get(f"/timed/things/{number}")
        client.get(f"/nowhere/{number}")
        client.request(f"M{number}", "/")
    assert _series() == before


def _series() -> int:
    return sum(len(m.samples) for m in REGISTRY.collect() if m.name == "ops_http_request_seconds")
