"""`python -m tests.browser.pictures DIRECTORY`: pictures of the pages in light, dark and on a phone, to look at."""

import sys
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, sync_playwright

from query_api.dashboard.app import create_app
from runtime.settings import load_settings
from schemas.lifecycle import ACTIVE
from tests.browser.conftest import CHROMIUM, FLAGS
from tests.browser.fake_api_app import FakeApiApp
from tests.browser.served import served
from tests.unit.query_api.dashboard.fake_api import FakeApi, event_record, minute_records, moment, set_status

PAGES: Final = {
    "incidents": "/",
    "incident": "/incidents/6",
    "resolved": "/incidents/2",
    "none": "/?q=nothing",
    "missing": "/incidents/99",
    "services": "/services",
    "service": "/services/user-service",
    "pipeline": "/pipeline",
    "try": "/try?sent=6&service=user-service&level=ERROR&message=Pool+exhausted&count=6",
}
LOOKS: Final = {
    "light": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 360, "height": 740}, "color_scheme": "light"},
}


def example() -> FakeApi:
    """The incidents of `create_incidents.sh`, at different stages of their lives."""
    api = FakeApi()
    for service, category, severity, summary, status, seconds, count in (
        ("storage-service", "disk_issue", "P1", "The volume /data is full: writes fail.", "open", 5_000, 412),
        ("public-api", "rate_limiting", "P3", "Clients exceed their rate limit.", "resolved", 4_100, 18),
        ("auth-service", "authentication_issue", "P2", "Logins fail: tokens are rejected.", "closed", 2_500, 31),
        ("analytics-worker", "memory_issue", "P1", "The worker is killed when out of memory.", "open", 800, 6),
        ("api-gateway", "network_issue", "P2", "Requests to upstreams time out.", "investigating", 300, 57),
    ):
        incident = api.add(
            service=service,
            category=category,
            severity=severity,
            summary=summary,
            event_count=count,
            first_event_at=moment(seconds),
            created_at=moment(seconds - 20),
            last_event_at=moment(seconds / 9),
        )
        if status != "open":
            set_status(incident, status, "Dana", "Looking at the last release.")
    long = "sqlalchemy.exc.TimeoutError: QueuePool limit of size 20 overflow 10 reached\n" + "  at pool.py:212\n" * 40
    events = [event_record(0, long), *(event_record(number) for number in range(1, 6))]
    newest = api.add(service="user-service", events=events, event_count=6, previous_incident_id=1)
    newest["reason"] = "5 ERROR, CRITICAL or FATAL events of user-service within 300 s"
    set_status(newest, "investigating", "Dana", "Pool is at 20 of 20; looking for the transaction that holds it.")
    _add_surroundings(api)
    return api


def _add_surroundings(api: FakeApi) -> None:
    """Services with their rates, what the rules see of one, what was similar, and a pipeline that is not all well."""
    for number, incident in enumerate(reversed(api.incidents.values())):
        burst = {ago: {"ERROR": 9 + ago % 4 * 3, "CRITICAL": ago % 3} for ago in range(number * 7, number * 7 + 5)}
        calm = {ago: {"INFO": 20 + ago * 7 % 13, "WARNING": ago % 5} for ago in range(60)}
        minutes = minute_records({ago: calm[ago] | burst.get(ago, {}) for ago in calm})
        is_active = incident["status"] in ACTIVE
        keys = ("id", "rule", "severity", "status")
        active = [{key: incident[key] for key in keys}] if is_active else []
        levels = {"CRITICAL": 5, "ERROR": 68, "WARNING": 120, "INFO": 1_560}
        api.add_service(incident["service"], minutes=minutes, active_incidents=active, by_level=levels)
    api.add_service("billing", minutes=[], by_level={}, last_event_at=moment(9_000))
    window = {"start": moment(300), "end": moment(0)}
    misses = [{"count": 4, "first": moment(2_400), "last": moment(2_200)}]
    rule = {"rule": "error-burst", "count": 6, "threshold": 5, "window": window, "near_misses": misses}
    slow = {"rule": "payment-timeouts", "count": 1, "threshold": 3, "window": window}
    api.explanations["user-service"] = {"rules": [rule | {"reasons": {"attached": 1, "opened": 1}}, slow]}
    alike = {"id": 1, "service": "storage-service", "status": "closed", "severity": "P2", "similarity": 0.87}
    ended = "Raised the pool to 40 and ended the report job that held connections."
    api.similar[6] = [
        alike
        | {"summary": "The pool of the orders database is exhausted.", "resolution": {"actor": "ada", "note": ended}}
    ]
    api.pipeline["services"][2] |= {"ready": False, "reasons": {"postgresql": "the database cannot be reached"}}
    api.pipeline["dead_letters"] = {"not_json": 3, "invalid": 1}


def take(browser: Browser, url: str, name: str, directory: Path) -> None:
    """Take one page in every look."""
    for look, options in LOOKS.items():
        context = browser.new_context(**options)  # type: ignore[arg-type]
        page = context.new_page()
        page.goto(url)
        page.wait_for_load_state("load")
        page.screenshot(path=directory / f"{name}-{look}.png", full_page=True)
        context.close()


def main(directory: Path) -> None:
    """Take all pages."""
    directory.mkdir(parents=True, exist_ok=True)
    empty = FakeApiApp(FakeApi())
    with (
        sync_playwright() as playwright,
        served(FakeApiApp(example()).app) as api_port,
        served(empty.app) as empty_port,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        for name, path, port in (
            *((name, path, api_port) for name, path in PAGES.items()),
            ("welcome", "/", empty_port),
            ("away", "/", 1),
        ):
            settings = load_settings(_env_file=None, api_url=f"http://127.0.0.1:{port}")
            with served(create_app(settings)) as dashboard:
                take(browser, f"http://127.0.0.1:{dashboard}{path}", name, directory)
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
