"""The dashboard as a person meets it in a real browser, before an API in memory."""

import re

import pytest
from playwright.sync_api import Page, Route, expect

from query_api.dashboard.app import create_app
from runtime.settings import load_settings
from tests.browser.conftest import TIMEOUT, Complaints, NewPage, Serve, Stage
from tests.browser.fake_api_app import FakeApiApp
from tests.browser.served import served
from tests.unit.query_api.dashboard.fake_api import FakeApi, event_record, minute_records, set_status

pytestmark = pytest.mark.browser
expect.set_options(timeout=TIMEOUT)

HOSTILE = '<script>window.owned=1</script><img src=x onerror="window.owned=1">'
PHONE = {"width": 360, "height": 740}


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


def test_pages_recover_when_the_api_comes_back(new_page: NewPage, serve: Serve, complaints: Complaints) -> None:
    """An open page tells that the connection is lost, a new one what to check; both recover by themselves."""
    complaints.expect("503|ERR_INCOMPLETE_CHUNKED_ENCODING")
    api_server = FakeApiApp(FakeApi())
    api_server.api.add()
    with served(api_server.app) as api_port:
        app = create_app(load_settings(_env_file=None, api_url=f"http://127.0.0.1:{api_port}"))
        url = f"http://127.0.0.1:{serve(app)}"
        stayed, came = new_page(), new_page()
        for one in (stayed, came):
            one.clock.install()
        open_live(stayed, url)
    expect(stayed.locator("#link[data-state=lost]")).to_be_visible()
    expect(stayed.locator("#incident-1")).to_be_visible()
    came.goto(f"{url}/incidents/1")
    expect(came.get_by_role("heading", name="The API does not answer")).to_be_visible()
    with served(api_server.app, api_port):
        for one in (stayed, came):
            one.clock.run_for(5_000)
        expect(came.locator("#timeline li")).to_have_count(1)
        expect(stayed.locator("#link[data-state=live]")).to_be_visible()
        stayed.close()
        came.close()


def test_several_incidents_are_changed_at_once(page: Page, stage: Stage) -> None:
    """What is ticked stays ticked while the list is refreshed; each incident says for itself how it went."""
    for _ in range(3):
        stage.api.add()
    open_live(page, stage.url)
    expect(page.locator("#bulk")).to_be_hidden()
    page.get_by_label("Choose all on this page").check()
    page.get_by_label("Choose incident 3").uncheck()
    expect(page.locator("#chosen")).to_have_text("2 chosen")
    page.locator("#bulk-note").fill("one cause")

    stage.api.add(service="newcomer")
    stage.server.announce(4)

    expect(page.locator("#incident-4")).to_be_visible()
    expect(page.locator("#chosen")).to_have_text("2 chosen")
    expect(page.get_by_label("Choose incident 1")).to_be_checked()
    expect(page.locator("#bulk-note")).to_have_value("one cause")
    page.get_by_label("New status").select_option("resolved")
    set_status(stage.api.incidents[2], "closed", "somebody else")
    page.get_by_role("button", name="Change status").click()

    expect(page.get_by_role("alert")).to_contain_text("1 of 2 incidents was set to resolved")
    expect(page.get_by_role("alert")).to_contain_text("#2 was not changed: The incident is closed by now")
    expect(page.locator("#incident-1 .status")).to_have_text("resolved")
    expect(page.locator("#incident-3 .status")).to_have_text("open")
    assert stage.api.incidents[1]["timeline"][-1]["note"] == "one cause"


def test_burst_from_the_page_leads_to_its_incident(page: Page, stage: Stage) -> None:
    """A newcomer presses two buttons, and the incident comes up beside the form by itself."""
    open_live(page, stage.url)
    page.get_by_role("link", name="Send a burst of errors").click()
    page.get_by_role("link", name="Gateway timeout").click()
    page.get_by_label("How many").fill("7")
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#result")).to_contain_text("7 ERROR events of api-gateway were accepted")
    expect(page.locator("#result")).to_contain_text("No incident of this service yet")
    expect(page.locator("#link[data-state=live]")).to_be_visible()

    stage.api.add(service="api-gateway")
    stage.server.announce(1)

    page.locator("#result-1 a").click()
    expect(page.locator("h1")).to_contain_text("Payments fail")
    assert [event["service"] for event in stage.api.sent] == ["api-gateway"] * 7


def test_service_is_watched_over_time(page: Page, stage: Stage) -> None:
    """From the list of services to one of them, and further back."""
    stage.api.add_service("checkout", minutes=minute_records({90: {"FATAL": 3}, 2: {"ERROR": 4}}))
    page.goto(f"{stage.url}/services")
    page.get_by_role("link", name="checkout").click()
    expect(page.locator("#rates .legend")).to_have_text(re.compile(r"ERROR\s*4\s*$"))

    page.get_by_role("link", name="6 h").click()

    expect(page.locator("#rates .legend")).to_contain_text("FATAL 3")
    assert page.locator("#rates rect.fatal").count() == 1


def test_pipeline_page_follows_by_itself(page: Page, stage: Stage) -> None:
    """Lag and readiness change before one's eyes, without any event of an incident."""
    page.clock.install()
    open_live(page, f"{stage.url}/pipeline")
    expect(page.locator("#processes .ready.no")).to_have_count(0)

    stage.api.pipeline["services"][0] |= {"ready": False, "reasons": {"kafka": "away"}}
    page.clock.run_for(5_000)

    expect(page.locator("#processes .ready.no")).to_have_count(1)


def press_until(page: Page, wanted: str, key: str = "Tab") -> list[str]:
    """Press a key until the element `wanted` has the focus; gives every stop on the way."""
    stops: list[str] = []
    while not stops or stops[-1] != wanted:
        page.keyboard.press(key)
        stops.append(page.evaluate("document.activeElement.id || document.activeElement.pathname || ''"))
        assert len(stops) < 60, f"no {wanted} among {stops}"
    return stops


def test_keyboard_reaches_everything(page: Page, stage: Stage) -> None:
    """The first stop is the way past the head; an incident opens and changes by keys alone."""
    stage.api.add()
    page.goto(stage.url)

    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    stops = press_until(page, "/incidents/1")
    assert stops[:5] == ["tab-all", "tab-open", "tab-investigating", "tab-resolved", "tab-closed"]
    assert stops[5:10] == ["tab-P1", "tab-P2", "tab-P3", "q", "service"]
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid", "the focus must show"
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/incidents/1$"))
    press_until(page, "to-resolved")
    page.keyboard.press("Enter")

    expect(page.locator(".notice.good")).to_be_visible()


def test_several_incidents_are_changed_by_keys_alone(page: Page, stage: Stage) -> None:
    """Ticking by the space bar brings up the bar, which is the next stop after the list."""
    stage.api.add()
    page.goto(stage.url)
    press_until(page, "tick-all")
    page.keyboard.press("Space")
    stops = press_until(page, "bulk-status")
    assert "bulk-note" not in stops
    page.keyboard.type("resolved")
    press_until(page, "bulk-actor")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")

    expect(page.locator(".notice.good")).to_contain_text("1 of 1 incidents was set to resolved")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_a_phone(new_page: NewPage, stage: Stage, scheme: str, complaints: Complaints) -> None:
    """No page scrolls sideways at 360 pixels, whatever the length of a word."""
    complaints.expect("404")
    long = "x" * 100
    stage.api.add(service=long, summary="y" * 300, events=[event_record(0, "z" * 900)])
    stage.api.add_service(long, active_incidents=[{"id": 10**9, "severity": "P1", "status": "investigating"}])
    stage.api.pipeline["consumers"] = [
        {"group": long, "topic": long, "partition": 10**5, "current": 10**15, "end": 10**15, "lag": 10**15}
    ]
    stage.api.pipeline["services"][0] |= {"url": f"http://{long}", "ready": False, "reasons": {long: long}}
    page = new_page(viewport=PHONE, color_scheme=scheme)

    for path in ("/", "/incidents/1", "/incidents/77", "/?q=nothing", "/services", f"/services/{long}", "/pipeline",
                 f"/try?sent=1&service={long}"):  # fmt: skip
        page.goto(stage.url + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], path
