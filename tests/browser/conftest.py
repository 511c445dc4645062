"""A real Chromium for the tests of pages, and pages that fail their test when they complain."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright
from starlette.types import ASGIApp

from query_api.dashboard.app import create_app
from runtime.settings import load_settings
from tests.browser.fake_api_app import FakeApiApp
from tests.browser.served import served
from tests.unit.query_api.dashboard.fake_api import FakeApi

CHROMIUM: Final = Path("/usr/bin/chromium")
FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
TIMEOUT: Final = 15_000  # milliseconds that a page may take for anything that a test waits for


@dataclass
class Complaints:
    """What pages wrote to their consoles as errors: failed scripts, missing files, breaches of the policy."""

    texts: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def expect(self, pattern: str) -> None:
        """Let complaints that match `pattern` pass in this test."""
        self.expected.append(pattern)

    def watch(self, page: Page) -> None:
        """Collect what `page` complains about."""
        page.on("console", self._add)
        page.on("pageerror", lambda error: self.texts.append(f"{error}"))

    def unexpected(self) -> list[str]:
        """The complaints that no test asked for."""
        return [text for text in self.texts if not any(re.search(pattern, text) for pattern in self.expected)]

    def _add(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.texts.append(f"{message.text} ({message.location['url']})")


NewPage = Callable[..., Page]
Serve = Callable[[ASGIApp], int]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium.

    For one module only: as long as Playwright's synchronous face is up, its event loop counts as running in this
    thread, and asynchronous tests of other modules could not run theirs.
    """
    if not CHROMIUM.exists():
        reason = f"{CHROMIUM} is missing: apt-get install chromium"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def complaints() -> Iterator[Complaints]:
    """Fails the test at its end when a page complained unexpectedly."""
    collected = Complaints()
    yield collected
    assert not collected.unexpected()


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serves apps on free ports until the test's pages are closed; gives the port."""
    with ExitStack() as servers:
        yield lambda app: servers.enter_context(served(app))


@dataclass
class Stage:
    """What a test plays on: the dashboard's address, the API in memory and its server."""

    url: str
    server: FakeApiApp

    @property
    def api(self) -> FakeApi:
        """The API as it is now."""
        return self.server.api


@pytest.fixture(scope="module")
def running_stage() -> Iterator[Stage]:
    """A dashboard before an API in memory, both behind real servers, for all tests of a module."""
    server = FakeApiApp(FakeApi())
    with served(server.app) as api_port:
        app = create_app(load_settings(_env_file=None, api_url=f"http://127.0.0.1:{api_port}"))
        with served(app) as port:
            yield Stage(f"http://127.0.0.1:{port}", server)


@pytest.fixture
def stage(running_stage: Stage) -> Stage:
    """The module's dashboard before an API that is empty again."""
    running_stage.server.api = FakeApi()
    return running_stage


@pytest.fixture
def new_page(browser: Browser, complaints: Complaints, serve: Serve) -> Iterator[NewPage]:
    """Makes pages, each of a person of their own; the options are Playwright's of a new context."""
    del serve  # asked for only because pages must close before what they show stops
    contexts = []

    def make(**options: Any) -> Page:
        context = browser.new_context(**options)
        context.set_default_timeout(TIMEOUT)
        contexts.append(context)
        page = context.new_page()
        complaints.watch(page)
        return page

    yield make
    for context in contexts:
        context.close()


@pytest.fixture
def page(new_page: NewPage) -> Page:
    """One page on a desk's screen."""
    return new_page(viewport={"width": 1280, "height": 900})
