"""Every page of the dashboard under axe-core: no violation, by day and by night, on a desk and on a phone."""

import hashlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import pytest
from playwright.sync_api import Page, expect

from query_api.dashboard.app import create_app
from runtime.settings import load_settings
from tests.browser.conftest import TIMEOUT, Complaints, Stage
from tests.browser.pictures import example
from tests.browser.served import served
from tests.unit.query_api.dashboard.fake_api import pipeline_record, problem, set_status, visibility_record

pytestmark = pytest.mark.browser
expect.set_options(timeout=TIMEOUT)

AXE: Final = Path(__file__).parent / "vendor" / "axe-core"
LOOKS: Final[tuple[tuple[int, Literal["light", "dark"]], ...]] = (
    (1280, "light"),
    (1280, "dark"),
    (360, "light"),
    (360, "dark"),
)


@cache
def axe() -> str:
    """The library's text."""
    return (AXE / "axe.min.js").read_text()


def violations(page: Page) -> list[str]:
    """What axe-core finds on the page in any of its looks: where, which rule, and the first places."""
    page.evaluate(axe())
    return [f"{look}: {found}" for look in LOOKS for found in _violations(page, *look)]


def _violations(page: Page, width: int, scheme: Literal["light", "dark"]) -> list[str]:
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    found: list[dict[str, Any]] = page.evaluate(
        "axe.run({resultTypes: ['violations']}).then((found) => found.violations)"
    )
    return [f"{rule['id']}: {[node['html'] for node in rule['nodes'][:3]]}" for rule in found]


@pytest.fixture(scope="module")
def away() -> Iterator[str]:
    """The address of a dashboard whose API is away."""
    with served(create_app(load_settings(_env_file=None, api_url="http://127.0.0.1:1"))) as port:
        yield f"http://127.0.0.1:{port}"


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


def test_pages_with_incidents_have_no_violation(page: Page, stage: Stage, complaints: Complaints) -> None:
    """Every page: lists, details, an incident at each stage of its life, and what is not there."""
    complaints.expect("404")
    stage.server.api = example()
    for path in ("/", "/?status=open&severity=P1", "/?page=9", "/incidents/6", "/incidents/2", "/incidents/3",
                 "/?q=nothing", "/incidents/99", "/nowhere", "/services", "/services/user-service?hours=6",
                 "/services?q=nothing", "/services/unheard-of", "/pipeline", "/try",
                 "/try?sent=6&service=user-service"):  # fmt: skip
        page.goto(stage.url + path)
        assert violations(page) == [], path


def test_banner_of_blindness_has_no_violation_and_stays_while_the_page_is_live(
    page: Page, stage: Stage, complaints: Complaints
) -> None:
    """It comes up on an open page, says why, and goes when the pipeline sees again."""
    del complaints
    page.goto(f"{stage.url}/pipeline")
    expect(page.get_by_role("heading", name="From event to visible incident")).to_be_visible()
    expect(page.locator("#blind")).to_have_count(0)
    stage.api.pipeline = pipeline_record(visibility=visibility_record(blind=True, reason="No incident of the canary"))
    expect(page.get_by_role("alert")).to_contain_text("No incident of the canary")
    for path in ("/pipeline", "/", "/services"):
        page.goto(stage.url + path)
        expect(page.get_by_role("heading", name="The pipeline is blind")).to_be_visible()
        assert violations(page) == [], path
    page.goto(f"{stage.url}/pipeline")
    stage.api.pipeline = pipeline_record()
    expect(page.locator("#blind")).to_have_count(0)


def test_bar_for_several_incidents_has_no_violation(page: Page, stage: Stage, complaints: Complaints) -> None:
    """When it comes up, and when it says how it went."""
    complaints.expect("409")
    stage.api.add()
    stage.api.add(status="closed")
    page.goto(stage.url)
    for number in (1, 2):
        page.get_by_label(f"Choose incident {number}").check()
    expect(page.locator("#bulk")).to_be_visible()
    assert violations(page) == []

    page.get_by_role("button", name="Change status").click()
    expect(page.get_by_role("alert")).to_contain_text("1 of 2 incidents was set")
    assert violations(page) == []


def test_pages_that_say_how_a_change_went_have_no_violation(page: Page, stage: Stage, complaints: Complaints) -> None:
    """Done, and refused because somebody else was faster; events that the gateway refused."""
    complaints.expect("412|422")
    incident = stage.api.add()
    page.goto(f"{stage.url}/incidents/1")
    page.get_by_role("button", name="Start investigation").click()
    expect(page.locator(".notice.good")).to_be_visible()
    assert violations(page) == []

    page.locator("#note").fill("held open, so that the page stays as it was")
    set_status(incident, "resolved", "somebody else")
    page.get_by_role("button", name="Close for good").click()
    expect(page.locator(".notice.bad")).to_be_visible()
    assert violations(page) == []

    stage.api.refusal = problem(422, "service: at most 100 characters")
    page.goto(f"{stage.url}/try")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("alert")).to_be_visible()
    assert violations(page) == []


def test_first_page_and_the_one_without_an_api_have_no_violation(
    page: Page, stage: Stage, away: str, complaints: Complaints
) -> None:
    """What a newcomer sees on each page, and what is shown when the API is away."""
    complaints.expect("503")
    stage.api.pipeline = pipeline_record(consumers=[], ledger={}, consumers_unavailable="Kafka is away")
    for path in ("/", "/services", "/pipeline"):
        page.goto(stage.url + path)
        assert violations(page) == [], path
    page.goto(away)
    expect(page.get_by_role("heading", name="The API does not answer")).to_be_visible()
    assert violations(page) == []
