"""What surrounds the pages: health, JSON for programs, headers, the relayed stream."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.testclient import TestClient

from query_api.dashboard.app import create_app
from query_api.dashboard.security import CONTENT_SECURITY_POLICY
from runtime.health import VERSION
from runtime.settings import load_settings
from tests.unit.query_api.dashboard.fake_api import FakeApi


class Chunks(httpx.AsyncByteStream):
    """A body in pieces, that ends or does not."""

    def __init__(self, chunks: list[bytes], *, is_endless: bool = False, breaks: bool = False) -> None:
        self._chunks, self._is_endless, self._breaks = chunks, is_endless, breaks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Give the pieces."""
        for chunk in self._chunks:
            yield chunk
        if self._breaks:
            raise httpx.ReadError("connection reset")
        if self._is_endless:
            await asyncio.Event().wait()


def stream_answer(body: httpx.AsyncByteStream) -> httpx.Response:
    """An answer that is a stream of events."""
    return httpx.Response(200, headers={"Content-Type": "text/event-stream"}, stream=body)


@pytest.mark.parametrize("accept", ["application/json", "*/*"])
def test_root_answers_programs_in_json(dashboard: TestClient, accept: str) -> None:
    """`GET /` is the page for browsers only; everything else gets what every service answers."""
    answer = dashboard.get("/", headers={"Accept": accept})

    assert answer.json() == {"message": "Ops-Assist dashboard", "status": "online", "version": VERSION}


def test_health_does_not_need_the_api(dashboard: TestClient, api: FakeApi) -> None:
    """The dashboard is alive whatever the API does; it is ready only when the API answers."""
    assert dashboard.get("/readyz").status_code == 200
    api.is_away = True

    assert dashboard.get("/health").json() == {"status": "healthy", "environment": "test"}
    ready = dashboard.get("/readyz")
    assert ready.status_code == 503
    assert "Connection refused" in ready.json()["reasons"]["api"]


def test_metrics_are_prometheus_text(dashboard: TestClient) -> None:
    """`/metrics` is there."""
    assert "python_info" in dashboard.get("/metrics").text


@pytest.mark.parametrize(
    "address",
    [
        "/",
        "/incidents/1",
        "/incidents/99",
        "/nothing",
        "/services",
        "/services/x",
        "/pipeline",
        "/try",
        "/static/dashboard.css",
        "/health",
    ],
)
def test_every_answer_has_the_security_headers(dashboard: TestClient, api: FakeApi, address: str) -> None:
    """No answer goes out without the policy."""
    api.add()

    headers = dashboard.get(address).headers

    assert headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] in {"no-store", "no-cache"}


def test_failure_of_our_own_has_a_page_and_the_headers() -> None:
    """A defect is a plain page without a stack trace, as safe as any other."""

    def broken(_: httpx.Request) -> httpx.Response:
        raise ZeroDivisionError("secret detail")

    app = create_app(load_settings(_env_file=None), httpx.MockTransport(broken))
    with TestClient(app, "http://localhost", raise_server_exceptions=False) as client:
        page = client.get("/", headers={"Accept": "text/html"})

    assert page.status_code == 500
    assert "secret detail" not in page.text
    assert page.headers["content-security-policy"] == CONTENT_SECURITY_POLICY


def test_unknown_page_is_404_for_browsers_and_programs(dashboard: TestClient) -> None:
    """Browsers get a page, programs a problem."""
    page = dashboard.get("/nothing")
    answer = dashboard.get("/nothing", headers={"Accept": "application/json"})

    assert page.status_code == answer.status_code == 404
    assert "There is no such page" in page.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_stream_is_relayed_with_its_last_id() -> None:
    """The API's stream comes through as it is, and a browser's last id reaches the API."""
    seen: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["last-event-id"])
        return stream_answer(Chunks([b"event: incident\nid: 8\n", b"data: {}\n\n"]))

    app = create_app(load_settings(_env_file=None), httpx.MockTransport(handle))
    with TestClient(app, "http://localhost") as client:
        answer = client.get("/api/v1/incidents/stream", headers={"Last-Event-ID": "7"})

    assert answer.text == "event: incident\nid: 8\ndata: {}\n\n"
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert seen == ["7"]


@pytest.mark.parametrize("away", [True, False])
def test_stream_is_503_where_the_api_has_none(dashboard: TestClient, api: FakeApi, away: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Without a stream to relay the browser is told to come again."""
    api.is_away = away

    answer = dashboard.get("/api/v1/incidents/stream")

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"


def test_stream_that_breaks_ends_without_an_error() -> None:
    """When the API goes in the middle of a stream the browser gets its end, and comes again by itself."""

    def handle(_: httpx.Request) -> httpx.Response:
        return stream_answer(Chunks([b": hello\n\n"], breaks=True))

    app = create_app(load_settings(_env_file=None), httpx.MockTransport(handle))
    with TestClient(app, "http://localhost") as client:
        answer = client.get("/api/v1/incidents/stream")

    assert answer.text == ": hello\n\n"


def test_imports_stay_light() -> None:
    """The dashboard needs neither the database's modules nor Kafka's, so that it starts in no time."""
    code = "import query_api.dashboard.__main__, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()

    heavy = {"sqlalchemy", "sqlmodel", "asyncpg", "alembic", "aiokafka", "faust", "litellm", "query_api.models"}
    assert not heavy & set(loaded)


def test_open_streams_end_when_the_process_stops() -> None:
    """A stream that never ends by itself does not hold up a clean stop."""

    def handle(_: httpx.Request) -> httpx.Response:
        return stream_answer(Chunks([b": hello\n\n"], is_endless=True))

    app = create_app(load_settings(_env_file=None), httpx.MockTransport(handle))
    with TestClient(app, "http://localhost") as client:
        app.state.stopping.set()
        answer = client.get("/api/v1/incidents/stream")

    assert answer.text in {"", ": hello\n\n"}
