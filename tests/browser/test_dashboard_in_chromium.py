"""The dashboard as a person meets it in a real browser, before an API in memory."""

import re
from dataclasses import dataclass

import pytest
from playwright.sync_api import Page, Route, expect

from query_api.dashboard.app import create_app
from runtime.settings import load_settings
from tests.browser.conftest import TIMEOUT, Complaints, NewPage, Serve
from tests.browser.fake_api_app import FakeApiApp
from tests.browser.served import served
from tests.unit.query_api.dashboard.fake_api import FakeApi, event_record, set_status

pytestmark = pytest.mark.browser
expect.set_options(timeout=TIMEOUT)

HOSTILE = '<script>window.owned=1</script><img src=x onerror="window.owned=1">'
PHONE = {"width": 360, "height": 740}


@dataclass
class Stage:
    """What a test plays on: the dashboard's address, the API in memory and its server."""

    url: str
    api: FakeApi
    server: FakeApiApp


@pytest.fixture
def api_server() -> FakeApiApp:
    """An API without incidents."""
    return FakeApiApp(FakeApi())


@pytest.fixture
def stage(api_server: FakeApiApp, serve: Serve) -> Stage:
    """The dashboard before the API in memory, each behind a real server."""
    app = create_app(load_settings(_env_file=None, api_url=f"http://127.0.0.1:{serve(api_server.app)}"))
    return Stage(f"http://127.0.0.1:{serve(app)}", api_server.api, api_server)


def open_live(page: Page, url: str) -> None:
    """Open a page and wait until it hears of changes."""
    page.goto(url)
    expect(page.locator("#link[data-state=live]")).to_be_visible()


def test_new_incident_appears_by_itself(page: Page, stage: Stage) -> None:
    """An incident that opens while the list is shown appears without a reload, and scroll and focus stay."""
    for _ in range(30):
        stage.api.add(events=[])
    open_live(page, stage.url)
    page.locator("#incident-5 .at-summary a").focus()
    page.evaluate("window.isSamePage = true")
    before = page.locator("#incident-5").bounding_box()

    stage.api.add(service="newcomer")
    stage.server.announce(31)

    expect(page.locator("#incident-31")).to_contain_text("newcomer")
    expect(page.locator("#tab-open .count")).to_have_text("31")
    assert page.title().startswith("(31)")
    assert page.evaluate("isSamePage") is True
    assert page.evaluate("document.activeElement.closest('tr').id") == "incident-5"
    after = page.locator("#incident-5").bounding_box()
    assert before is not None
    assert after is not None
    assert abs(after["y"] - before["y"]) < 2


def test_first_incident_replaces_the_welcome(page: Page, stage: Stage) -> None:
    """A newcomer who follows the page's advice sees the incident come up."""
    open_live(page, stage.url)
    expect(page.get_by_role("heading", name="No incidents yet")).to_be_visible()

    stage.api.add()
    stage.server.announce(1)

    expect(page.locator("#incident-1")).to_be_visible()
    expect(page.get_by_role("heading", name="No incidents yet")).to_have_count(0)


def test_person_works_an_incident_while_another_looks_on(page: Page, new_page: NewPage, stage: Stage) -> None:
    """From open to closed by the buttons; a second browser sees each step by itself."""
    stage.api.add()
    other = new_page()
    open_live(other, f"{stage.url}/incidents/1")

    page.goto(stage.url)
    page.locator("#incident-1 .at-summary a").click()
    for button, status in (
        ("Start investigation", "investigating"),
        ("Resolve", "resolved"),
        ("Close for good", "closed"),
    ):
        page.get_by_label("Note").fill(f"now {status}")
        page.get_by_label("Your name").fill("Zoë")
        page.get_by_role("button", name=button).click()
        expect(page.locator(".notice.good")).to_have_text(f"The status was set to {status}.")
        stage.server.announce(1)
        expect(other.locator("#title .status")).to_have_text(status)
        expect(other.locator("#timeline li").first).to_contain_text(f"now {status}")

    expect(page.locator("#work")).to_contain_text("Closed is final")
    expect(other.locator("#work")).to_contain_text("Closed is final")


def test_typed_note_survives_a_live_refresh(page: Page, stage: Stage) -> None:
    """What a person is typing stays while events come in; the change then still goes through."""
    incident = stage.api.add()
    open_live(page, f"{stage.url}/incidents/1")
    page.get_by_label("Note").fill("half a sent")

    incident["event_count"] = 1234
    stage.server.announce(1)

    expect(page.locator("#why")).to_contain_text("1,234")
    expect(page.get_by_label("Note")).to_have_value("half a sent")
    page.get_by_role("button", name="Resolve").click()
    expect(page.locator(".notice.good")).to_be_visible()


def test_note_typed_right_after_a_change_survives_the_first_refresh(page: Page, stage: Stage) -> None:
    """What says how the last change went makes no difference to what stays: neither text nor focus is lost."""
    incident = stage.api.add()
    open_live(page, f"{stage.url}/incidents/1")
    held: list[Route] = []
    page.route("**/incidents/1", lambda route: hold_fetches(route, held))
    with page.expect_request(lambda request: request.resource_type == "fetch"):
        page.get_by_role("button", name="Start investigation").click()
        expect(page.locator(".notice.good")).to_be_visible()
    page.get_by_label("Note").fill("half a sent")

    incident["event_count"] = 1234
    held[-1].continue_()

    expect(page.locator("#why")).to_contain_text("1,234")
    expect(page.get_by_label("Note")).to_have_value("half a sent")
    expect(page.get_by_label("Note")).to_be_focused()
    expect(page.locator(".notice.good")).to_be_visible()


def hold_fetches(route: Route, held: list[Route]) -> None:
    """Let a page load, and keep what its script asks for."""
    if route.request.resource_type == "fetch":
        held.append(route)
    else:
        route.continue_()


def test_stale_page_says_who_was_faster(new_page: NewPage, stage: Stage, complaints: Complaints) -> None:
    """Without scripts a page can be stale; pressing its button changes nothing and explains."""
    complaints.expect("412")
    incident = stage.api.add()
    page = new_page(java_script_enabled=False)
    page.goto(f"{stage.url}/incidents/1")
    set_status(incident, "resolved", "somebody else")

    page.get_by_label("Note").fill("my view")
    page.get_by_role("button", name="Start investigation").click()

    expect(page.get_by_role("alert")).to_contain_text("Somebody else changed this incident")
    expect(page.get_by_label("Note")).to_have_value("my view")
    expect(page.get_by_role("button", name="Reopen and investigate")).to_be_visible()
    assert incident["status"] == "resolved"


def test_everything_works_without_scripts(new_page: NewPage, stage: Stage) -> None:
    """Filters, search and buttons are plain links and forms."""
    stage.api.add(service="alpha")
    stage.api.add(service="beta", status="resolved")
    page = new_page(java_script_enabled=False)

    page.goto(stage.url)
    page.locator("#tab-resolved").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_label("Search").fill("alpha")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("heading", name="No incident matches")).to_be_visible()
    page.get_by_role("link", name="Show all incidents").click()
    page.locator("#incident-1 .at-summary a").click()
    page.get_by_role("button", name="Resolve").click()

    expect(page.locator(".notice.good")).to_have_text("The status was set to resolved.")


def test_hostile_text_stays_text(page: Page, stage: Stage) -> None:
    """Markup from logs and models is shown, neither run nor loaded."""
    stage.api.add(
        service=HOSTILE, summary=HOSTILE, recommended_actions=[HOSTILE], events=[event_record(0, HOSTILE * 9)]
    )

    open_live(page, stage.url)
    expect(page.locator("#incident-1")).to_contain_text(HOSTILE)
    page.goto(f"{stage.url}/incidents/1")
    page.locator("#events summary").click()

    expect(page.locator("h1")).to_have_text(HOSTILE)
    assert page.evaluate("window.owned") is None
    assert page.locator("main img, main script").count() == 0


def test_pages_recover_when_the_api_comes_back(
    new_page: NewPage, api_server: FakeApiApp, serve: Serve, complaints: Complaints
) -> None:
    """An open page tells that the connection is lost, a new one what to check; both recover by themselves."""
    complaints.expect("503|ERR_INCOMPLETE_CHUNKED_ENCODING")
    api_server.api.add()
    with served(api_server.app) as api_port:
        app = create_app(load_settings(_env_file=None, api_url=f"http://127.0.0.1:{api_port}"))
        url = f"http://127.0.0.1:{serve(app)}"
        stayed, came = new_page(), new_page()
        open_live(stayed, url)
    expect(stayed.locator("#link[data-state=lost]")).to_be_visible()
    expect(stayed.locator("#incident-1")).to_be_visible()
    came.goto(f"{url}/incidents/1")
    expect(came.get_by_role("heading", name="The API does not answer")).to_be_visible()
    with served(api_server.app, api_port):
        expect(came.locator("#timeline li")).to_have_count(1)
        expect(stayed.locator("#link[data-state=live]")).to_be_visible()
        stayed.close()
        came.close()


def test_keyboard_reaches_everything(page: Page, stage: Stage) -> None:
    """The first stop is the way past the head; an incident opens and changes by keys alone."""
    stage.api.add()
    page.goto(stage.url)

    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    stops = []
    for _ in range(20):
        page.keyboard.press("Tab")
        stops.append(page.evaluate("document.activeElement.id || document.activeElement.pathname"))
        if stops[-1] == "/incidents/1":
            break
    assert stops[:6] == ["tab-all", "tab-open", "tab-investigating", "tab-resolved", "tab-closed", "q"]
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/incidents/1$"))
    page.locator("#to-resolved").focus()
    page.keyboard.press("Enter")

    expect(page.locator(".notice.good")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_a_phone(new_page: NewPage, stage: Stage, scheme: str, complaints: Complaints) -> None:
    """No page scrolls sideways at 360 pixels, whatever the length of a word."""
    complaints.expect("404")
    stage.api.add(service="x" * 100, summary="y" * 300, events=[event_record(0, "z" * 900)])
    page = new_page(viewport=PHONE, color_scheme=scheme)

    for path in ("/", "/incidents/1", "/incidents/77", "/?q=nothing"):
        page.goto(stage.url + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], path
