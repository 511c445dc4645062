"""Every page of the dashboard under axe-core: no violation, by day and by night, on a desk and on a phone."""

import hashlib
import re
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Page, expect

from query_api.dashboard.app import create_app
from runtime.settings import load_settings
from tests.browser.conftest import TIMEOUT, Complaints, NewPage, Serve
from tests.browser.fake_api_app import FakeApiApp
from tests.browser.pictures import example
from tests.unit.query_api.dashboard.fake_api import FakeApi, set_status

pytestmark = pytest.mark.browser
expect.set_options(timeout=TIMEOUT)

AXE: Final = Path(__file__).parent / "vendor" / "axe-core"
WIDTHS: Final = (1280, 360)
SCHEMES: Final = ("light", "dark")
LOOKS: Final = [pytest.param((width, scheme), id=f"{width} {scheme}") for width in WIDTHS for scheme in SCHEMES]


@cache
def axe() -> str:
    """The library's text."""
    return (AXE / "axe.min.js").read_text()


def violations(page: Page) -> list[str]:
    """What axe-core finds on the page as it is shown: rule, and the first places."""
    page.evaluate(axe())
    found: list[dict[str, Any]] = page.evaluate(
        "axe.run({resultTypes: ['violations']}).then((found) => found.violations)"
    )
    return [f"{rule['id']}: {[node['html'] for node in rule['nodes'][:3]]}" for rule in found]


@pytest.fixture(params=LOOKS)
def look(request: pytest.FixtureRequest, new_page: NewPage) -> Page:
    """A page of each width, in light and in dark."""
    width, scheme = request.param
    return new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)


def dashboard(serve: Serve, api: FakeApi) -> str:
    """The dashboard before an API; gives its address."""
    app = create_app(load_settings(_env_file=None, api_url=f"http://127.0.0.1:{serve(FakeApiApp(api).app)}"))
    return f"http://127.0.0.1:{serve(app)}"


def test_axe_is_the_one_that_was_published() -> None:
    """Each vendored file has the hash that the README records."""
    recorded = re.findall(r"^([0-9a-f]{64})  (\S+)$", (AXE / "README.md").read_text(), re.MULTILINE)
    files = [file for file in AXE.iterdir() if file.name != "README.md"]
    assert {(hashlib.sha256(file.read_bytes()).hexdigest(), file.name) for file in files} == set(recorded)


def test_axe_sees_what_is_wrong(page: Page) -> None:
    """Else all that it does not say would mean nothing."""
    page.set_content("<html><body><img src='data:,'><p style='color:#ccc;background:#fff'>pale</p></body></html>")
    found = " ".join(violations(page))
    for rule in ("image-alt", "color-contrast", "html-has-lang"):
        assert rule in found


def test_pages_with_incidents_have_no_violation(look: Page, serve: Serve, complaints: Complaints) -> None:
    """The list, an incident at each stage of its life, a search without a result, and a page that is not there."""
    complaints.expect("404")
    api = example()
    url = dashboard(serve, api)
    for path in ("/", "/?status=open&severity=P1", "/?page=9", "/incidents/6", "/incidents/2", "/incidents/3",
                 "/?q=nothing", "/incidents/99", "/nowhere"):  # fmt: skip
        look.goto(url + path)
        assert violations(look) == [], path


def test_pages_that_say_how_a_change_went_have_no_violation(look: Page, serve: Serve, complaints: Complaints) -> None:
    """Done, and refused because somebody else was faster."""
    complaints.expect("412")
    api = FakeApi()
    incident = api.add()
    url = dashboard(serve, api)
    look.goto(f"{url}/incidents/1")
    look.get_by_role("button", name="Start investigation").click()
    expect(look.locator(".notice.good")).to_be_visible()
    assert violations(look) == []

    look.locator("#note").fill("held open, so that the page stays as it was")
    set_status(incident, "resolved", "somebody else")
    look.get_by_role("button", name="Close for good").click()
    expect(look.locator(".notice.bad")).to_be_visible()
    assert violations(look) == []


def test_first_page_and_the_one_without_an_api_have_no_violation(
    look: Page, serve: Serve, complaints: Complaints
) -> None:
    """What a newcomer sees, and what is shown when the API is away."""
    complaints.expect("503")
    look.goto(dashboard(serve, FakeApi()))
    assert violations(look) == []
    look.goto(f"http://127.0.0.1:{serve(create_app(load_settings(_env_file=None, api_url='http://127.0.0.1:1')))}")
    expect(look.get_by_role("heading", name="The API does not answer")).to_be_visible()
    assert violations(look) == []
