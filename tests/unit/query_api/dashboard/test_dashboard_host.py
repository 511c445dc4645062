"""Under which names the dashboard answers."""

import pytest
from starlette.testclient import TestClient

from query_api.dashboard.app import create_app
from runtime.settings import load_settings
from tests.unit.query_api.dashboard.fake_api import FakeApi


def _status(host_setting: str, name: str) -> int:
    app = create_app(load_settings(_env_file=None, host=host_setting), FakeApi().transport())
    with TestClient(app, "http://localhost") as client:
        return client.get("/health", headers={"Host": name}).status_code


@pytest.mark.parametrize(
    "name", ["localhost", "localhost:3000", "LocalHost:3000", "127.0.0.1:3000", "[::1]:3000", "10.1.2.3:3000"]
)
def test_it_answers_under_its_own_names(name: str) -> None:
    """This machine's, and the address that it listens on."""
    assert _status("10.1.2.3", name) == 200


@pytest.mark.parametrize(
    "name", ["evil.example", "evil.example:3000", "localhost.evil.example", "127.0.0.1.evil.example", "[::1", "a@b", ""]
)
def test_it_refuses_the_name_of_a_stranger(name: str) -> None:
    """A page whose own name was made to lead here reads and changes nothing."""
    assert _status("127.0.0.1", name) == 421


@pytest.mark.parametrize("host_setting", ["0.0.0.0", "::"])
def test_any_name_goes_where_every_address_is_listened_on(host_setting: str) -> None:
    """People reach it under names that it cannot know."""
    assert _status(host_setting, "ops.example") == 200


def test_refusal_is_a_problem_with_the_headers() -> None:
    """And says which setting decides."""
    app = create_app(load_settings(_env_file=None), FakeApi().transport())
    with TestClient(app, "http://evil.example") as client:
        answer = client.get("/", headers={"Accept": "text/html"})
    assert answer.headers["content-type"] == "application/problem+json"
    assert "HOST" in answer.json()["detail"]
    assert "content-security-policy" in answer.headers
