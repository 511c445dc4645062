"""A dashboard before a fake API, and a client that behaves as a browser does."""

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from query_api.dashboard.app import create_app
from runtime.settings import load_settings
from tests.unit.query_api.dashboard.fake_api import FakeApi

BROWSER = {"Accept": "text/html,application/xhtml+xml", "Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def api() -> FakeApi:
    """An API without incidents."""
    return FakeApi()


@pytest.fixture
def dashboard(api: FakeApi) -> Iterator[TestClient]:
    """The dashboard, asked as a browser asks."""
    app = create_app(load_settings(_env_file=None, environment="test"), api.transport())
    with TestClient(
        app, "http://localhost", headers=BROWSER, follow_redirects=False, raise_server_exceptions=False
    ) as client:
        yield client
