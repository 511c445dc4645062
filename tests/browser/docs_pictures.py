"""`python -m tests.browser.docs_pictures`: takes the pictures of docs/images anew, from the real pipeline."""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from playwright.sync_api import Page, expect, sync_playwright

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


def main() -> None:
    """Take them all."""
    with pipeline() as running, sync_playwright() as playwright:
        create_incidents(running.url)
        dashboard = f"http://localhost:{running.ports[DASHBOARD]}"
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        page = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme="light")
        work(page, running, dashboard)
        take(page, dashboard, "incidents")
        take(page, f"{dashboard}/incidents/{number_of(running, 'user-service')}", "incident")
        browser.close()


if __name__ == "__main__":
    main()
