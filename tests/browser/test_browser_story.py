"""The whole pipeline as people meet it: real services on Apache Kafka, PostgreSQL, and two browsers that look on."""

import re
from collections.abc import Iterator
from typing import Final

import httpx
import pytest
from playwright.sync_api import Page, expect

from deploy.brokers.base import Broker
from tests.browser.conftest import Complaints, NewPage
from tests.support.databases import Databases
from tests.support.pipeline import DASHBOARD, FRONT_DOOR, SERVICES, Pipeline, running_pipeline

pytestmark = [pytest.mark.browser, pytest.mark.apache_kafka]

EVERYTHING: Final = (*SERVICES, DASHBOARD)
LIVE_MS: Final = 20_000  # until a change has gone through Kafka, the processor, Kafka, PostgreSQL and the stream
FIRST_MS: Final = 60_000  # the first analysis: the analyzer joins its group and reads what is there before
STEPS: Final = (
    ("Start investigation", "investigating", "pool is at 50 of 50"),
    ("Resolve", "resolved", "the leak was in release 41; rolled back"),
    ("Close for good", "closed", "written up"),
)


@pytest.fixture(scope="module")
def pipeline(broker: Broker, databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """Every service, the dashboard included, on a broker and a database that are empty."""
    directory = tmp_path_factory.mktemp("state dir")
    with running_pipeline(broker, databases.create(), directory, *EVERYTHING) as running:
        yield running


@pytest.fixture
def dashboard(pipeline: Pipeline) -> str:
    """Where people open it."""
    return f"http://localhost:{pipeline.ports[DASHBOARD]}"


def send_burst(pipeline: Pipeline, service: str, count: int = 6) -> None:
    """Errors as a service sends them: one request each."""
    for number in range(count):
        event = {
            "service": service,
            "level": "ERROR",
            "message": f"Database connection pool exhausted: 50 of 50 in use, {number} requests waiting",
        }
        assert pipeline.http.post("/api/v1/events", json=event).status_code == 201


def open_live(page: Page, url: str) -> None:
    """Open a page, wait until it hears of changes, and mark it, so that a reload would show."""
    page.goto(url)
    expect(page.locator("#link[data-state=live]")).to_be_visible()
    page.evaluate("window.isSamePage = true")


def incident_of(page: Page, service: str) -> int:
    """The number of the incident of a service that the list shows, once it does."""
    row = page.locator("tbody tr").filter(has_text=service)
    expect(row).to_have_count(1, timeout=LIVE_MS)
    return int((row.get_attribute("id") or "").removeprefix("incident-"))


def set_status(page: Page, button: str, status: str, note: str) -> None:
    """Press a button of the status form, with a note and a name."""
    page.get_by_label("Note").fill(note)
    page.get_by_label("Your name").fill("Zoë")
    page.get_by_role("button", name=button).click()
    expect(page.locator(".notice.good")).to_have_text(f"The status was set to {status}.")


def send_from_page(page: Page, service: str) -> int:
    """Send a burst as a newcomer does: from the first page by two buttons; gives the incident that comes of it."""
    page.get_by_role("link", name="Send a burst of errors").click()
    page.get_by_label("Service").fill(service)
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#result")).to_contain_text("6 ERROR events")
    link = page.locator("#result li a")
    expect(link).to_have_count(1, timeout=LIVE_MS)
    return int((link.get_attribute("href") or "").removeprefix("/incidents/"))


def test_from_nothing_to_a_closed_incident(dashboard: str, page: Page, new_page: NewPage) -> None:
    """A burst becomes an incident before one's eyes; one person works it, another sees each step, nobody reloads."""
    other, listing = new_page(), new_page()
    open_live(listing, dashboard)
    open_live(page, dashboard)
    expect(page.get_by_role("heading", name="No incidents yet")).to_be_visible()

    number = send_from_page(page, "user-service")
    row = listing.locator(f"#incident-{number}")
    expect(row).to_contain_text("P1", timeout=FIRST_MS)
    expect(row.locator(".number")).to_have_text("6", timeout=LIVE_MS)
    expect(row.locator("svg.spark")).to_have_count(1, timeout=LIVE_MS)
    for tab in ("open", "P1"):
        expect(listing.locator(f"#tab-{tab} .count")).to_have_text("1")

    open_live(other, f"{dashboard}/incidents/{number}")
    page.locator("#result li a").click()
    page.wait_for_url(re.compile(f"/incidents/{number}$"))
    expect(page.locator("#why")).to_contain_text("error-burst")
    expect(page.locator("#why .legend")).to_contain_text("ERROR 6")
    expect(page.locator("#events li")).to_have_count(6)
    expect(page.locator("#analysis .evidence li").first).to_contain_text("pool exhausted")
    for button, status, note in STEPS:
        set_status(page, button, status, note)
        expect(other.locator("#title .status")).to_have_text(status, timeout=LIVE_MS)
        expect(other.locator("#timeline li").first).to_contain_text(note, timeout=LIVE_MS)
        expect(listing.locator(f"#tab-{status} .count")).to_have_text("1", timeout=LIVE_MS)

    expect(other.locator("#work")).to_contain_text("Closed is final", timeout=LIVE_MS)
    for looker in (other, listing):
        assert looker.evaluate("isSamePage") is True
    timeline = other.locator("#timeline li")
    expect(timeline).to_have_count(1 + len(STEPS))
    for entry, (_, status, note) in zip(reversed(timeline.all()[:-1]), STEPS, strict=True):
        expect(entry).to_contain_text("Zoë changed the status")
        expect(entry).to_contain_text(f"→ {status}")
        expect(entry).to_contain_text(note)
    expect(timeline.last).to_contain_text("opened the incident")


def test_operators_see_services_and_the_pipeline(pipeline: Pipeline, dashboard: str, page: Page) -> None:
    """What was sent is counted by level, by consumer group and by what became of it."""
    send_burst(pipeline, "cart-service", 3)
    page.goto(f"{dashboard}/services")
    row = page.locator("tr").filter(has_text="cart-service")
    expect(row.locator("[data-label=Error]")).to_have_text("3", timeout=LIVE_MS)

    page.goto(f"{dashboard}/pipeline")

    expect(page.locator("#processes .ready.yes")).to_have_count(len(SERVICES))
    expect(page.locator("#consumers")).to_contain_text("ops-materializer", timeout=LIVE_MS)
    expect(page.locator("#ledger")).to_contain_text("opened an incident")


def test_several_incidents_are_resolved_at_once(pipeline: Pipeline, dashboard: str, page: Page) -> None:
    """Two bursts, one cause, one change."""
    for service in ("bulk-one", "bulk-two"):
        send_burst(pipeline, service)
    open_live(page, f"{dashboard}/?q=bulk-")
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(2, timeout=LIVE_MS)
    page.get_by_label("Choose all on this page").check()
    page.get_by_label("New status").select_option("resolved")
    page.locator("#bulk-note").fill("one cause")

    page.get_by_role("button", name="Change status").click()

    expect(page.locator(".notice.good")).to_contain_text("2 of 2 incidents were set to resolved")
    expect(rows.locator(".status.resolved")).to_have_count(2)


def test_pages_go_on_after_the_api_restarts(
    pipeline: Pipeline, dashboard: str, page: Page, complaints: Complaints
) -> None:
    """An open list says that the connection is lost, and shows what happened meanwhile as soon as it is back."""
    complaints.expect("503|ERR_INCOMPLETE_CHUNKED_ENCODING")
    send_burst(pipeline, "restart-service", 4)
    open_live(page, dashboard)

    pipeline.kill(FRONT_DOOR)
    expect(page.locator("#link[data-state=lost]")).to_be_visible(timeout=LIVE_MS)
    pipeline.start(FRONT_DOOR)
    pipeline.wait_ready(FRONT_DOOR)
    send_burst(pipeline, "restart-service", 1)

    incident_of(page, "restart-service")
    expect(page.locator("#link[data-state=live]")).to_be_visible(timeout=LIVE_MS)
    assert page.evaluate("isSamePage") is True


def test_after_a_resolution_the_next_burst_is_an_incident_of_its_own(
    pipeline: Pipeline, dashboard: str, page: Page
) -> None:
    """It comes up by itself and leads back to the one before."""
    send_burst(pipeline, "mail-service")
    open_live(page, f"{dashboard}/?status=open&service=mail-service")
    first = incident_of(page, "mail-service")
    page.goto(f"{dashboard}/incidents/{first}")
    set_status(page, "Resolve", "resolved", "provider is back")
    expect(page.locator("#work")).not_to_contain_text("about to confirm", timeout=LIVE_MS)

    open_live(page, f"{dashboard}/?status=open&service=mail-service")
    expect(page.locator("tbody tr")).to_have_count(0)
    send_burst(pipeline, "mail-service")
    second = incident_of(page, "mail-service")

    assert second != first
    page.goto(f"{dashboard}/incidents/{second}")
    expect(page.get_by_role("link", name=f"incident #{first}")).to_be_visible()


@pytest.mark.parametrize("service", EVERYTHING)
def test_every_service_speaks_of_itself(pipeline: Pipeline, service: str) -> None:
    """`/`, `/health`, `/readyz` and `/metrics`, as programs ask."""
    with httpx.Client(base_url=f"http://localhost:{pipeline.ports[service]}", timeout=5) as client:
        root = client.get("/").json()
        assert root["status"] == "online"
        assert set(root) == {"message", "status", "version"}
        assert client.get("/health").json() == {"status": "healthy", "environment": "development"}
        assert client.get("/readyz").json() == {"status": "ready", "reasons": {}}
        assert client.get("/metrics").headers["content-type"].startswith("text/plain")
