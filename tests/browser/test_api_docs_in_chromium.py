"""The interactive docs in a real browser, without internet."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from ops_assist.front_door import create_app
from runtime.settings import load_settings
from tests.browser.served import served

pytestmark = pytest.mark.browser


@pytest.fixture
def url() -> Iterator[str]:
    """The front door, connected to nothing."""
    with served(create_app(load_settings(_env_file=None)), lifespan="off") as port:
        yield f"http://127.0.0.1:{port}"


def test_docs_show_every_operation_and_ask_no_other_origin(url: str, page: Page) -> None:
    """Both apps' operations come up, one can be tried, and nothing is asked of anybody else."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    document = page.request.get(f"{url}/openapi.json").json()
    operations = [f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods]

    page.goto(f"{url}/docs")

    expect(page.locator(".opblock")).to_have_count(len(operations))
    shown = page.locator(".opblock-summary")
    for path in ("/api/v1/events", "/api/v1/events/batch", "/api/v1/incidents", "/api/v1/incidents/{incident_id}"):
        expect(shown.filter(has=page.locator(f'[data-path="{path}"]')).first).to_be_visible()
    page.locator(".opblock").filter(has=page.locator('[data-path="/health"]')).locator(".opblock-summary").click()
    page.get_by_role("button", name="Execute").click()
    expect(page.locator(".live-responses-table tbody .response-col_status")).to_contain_text("200")
    assert {urlsplit(address).netloc for address in asked if not address.startswith("data:")} == {urlsplit(url).netloc}
