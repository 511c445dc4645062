"""`python -m tests.browser.docs_pictures`: takes the pictures of docs/images anew, from the real pipeline."""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from playwright.sync_api import Page, ViewportSize, expect, sync_playwright

from deploy.postgres import EmbeddedPostgres
from tests.browser.conftest import CHROMIUM, FLAGS
from tests.support.brokers import APACHE_KAFKA, make_broker
from tests.support.databases import Databases
from tests.support.pipeline import DASHBOARD, SERVICES, Pipeline, running_pipeline

ROOT: Final = Path(__file__).parents[2]
IMAGES: Final = ROOT / "docs" / "images"
WORK: Final = (
    ("user-service", "investigating", "Pool is at 50 of 50; looking for the transaction that holds it."),
    ("public-api", "resolved", "Limit of client 8f2c raised."),
    ("auth-service", "closed", "A scanner; blocked at the edge."),
)
"""What somebody did about some of the six incidents: service, status, note."""

EVERYDAY: Final = {
    "user-service": (24, 2), "api-gateway": (40, 4), "analytics-worker": (6, 0), "auth-service": (12, 1),
    "public-api": (18, 3), "storage-service": (9, 2), "search-index": (7, 0), "billing": (4, 3),
}  # fmt: skip
"""Events a minute of each service, and how many of them are warnings every seven minutes."""

DESK: Final = ViewportSize(width=1280, height=800)
PHONE: Final = ViewportSize(width=360, height=740)


@contextmanager
def pipeline() -> Iterator[Pipeline]:
    """The whole pipeline on an Apache Kafka and a PostgreSQL of its own."""
    with tempfile.TemporaryDirectory() as directory:
        state = Path(directory)
        broker, postgres = make_broker(APACHE_KAFKA, state / "kafka"), EmbeddedPostgres(state / "postgres", fast=True)
        broker.start()
        postgres.start()
        try:
            database_url = Databases(postgres).create()
            with running_pipeline(broker, database_url, state / "services", *SERVICES, DASHBOARD) as running:
                yield running
        finally:
            postgres.stop()
            broker.stop()


def level_of(number: int, ago: int, warnings: int, phase: int) -> str:
    """The level of one of a minute's events: now and then an error, far fewer than any rule counts."""
    if number == 0 and ago > 8 and ago % 9 == phase % 9:
        return "ERROR"
    return "WARNING" if number < warnings * (ago % 7 == 0) else "INFO"


def send_an_hour(running: Pipeline) -> None:
    """An hour of everyday events of each service, oldest first, as they would have come."""
    now = datetime.now(UTC)
    for service, (traffic, warnings) in EVERYDAY.items():
        events = [
            {
                "service": service,
                "level": level_of(number, ago, warnings, len(service)),
                "message": f"request {number} served",
                "timestamp": (now - timedelta(minutes=ago, seconds=30 - number % 30)).isoformat(),
            }
            for ago in range(60, 0, -1)
            for number in range(traffic + (ago * 7 + len(service)) % 5)
        ]
        for start in range(0, len(events), 5_000):
            answer = running.http.post("/api/v1/events/batch", json=events[start : start + 5_000])
            assert answer.status_code == 201, answer.text


def create_incidents(url: str) -> None:
    """The six incidents."""
    subprocess.run([ROOT / "create_incidents.sh", url], check=True)


def number_of(running: Pipeline, service: str) -> int:
    """The number of a service's incident."""
    return int(running.incidents(service=service)[0]["id"])


def work(page: Page, running: Pipeline, dashboard: str) -> None:
    """Do with some incidents what a person on call does, and wait until each change is confirmed."""
    for service, status, note in WORK:
        page.goto(f"{dashboard}/incidents/{number_of(running, service)}")
        page.fill("#note", note)
        page.fill("#actor", "Dana")
        page.click(f"#to-{status}")
        expect(page.locator("#timeline li").first).to_contain_text(note, timeout=20_000)


def take(page: Page, url: str, name: str) -> None:
    """Take one page once it is live."""
    page.goto(url)
    expect(page.locator("#link[data-state=live]")).to_be_visible()
    page.screenshot(path=IMAGES / f"{name}.png", full_page=True)


def take_all(page: Page, running: Pipeline, dashboard: str) -> None:
    """Every page by day on a desk, and the first by night and on a phone."""
    incident = f"{dashboard}/incidents/{number_of(running, 'user-service')}"
    pages = {
        "incidents": dashboard,
        "incident": incident,
        "services": f"{dashboard}/services",
        "service": f"{dashboard}/services/user-service",
        "pipeline": f"{dashboard}/pipeline",
        "try": f"{dashboard}/try?sent=6&service=user-service",
    }
    for name, url in pages.items():
        take(page, url, name)
    page.emulate_media(color_scheme="dark")
    take(page, dashboard, "incidents-dark")
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(PHONE)
    take(page, dashboard, "incidents-phone")


def main() -> None:
    """Take them all."""
    with pipeline() as running, sync_playwright() as playwright:
        send_an_hour(running)
        create_incidents(running.url)
        dashboard = f"http://localhost:{running.ports[DASHBOARD]}"
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        page = browser.new_page(viewport=DESK, color_scheme="light")
        work(page, running, dashboard)
        take_all(page, running, dashboard)
        browser.close()


if __name__ == "__main__":
    main()
