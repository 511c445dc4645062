"""The services' pages: none, one and many, quiet and on fire, and what other services of the API add."""

import re

import pytest
from starlette.testclient import TestClient

from query_api.dashboard.services_page import PAGE_SIZE
from tests.unit.query_api.dashboard.fake_api import FakeApi, minute_records, moment, problem

HOSTILE = "<img src=x onerror=alert(1)>/../\"'&"


def test_no_service_yet_tells_what_to_do(dashboard: TestClient) -> None:
    """A newcomer is led to a first event."""
    page = dashboard.get("/services").text

    assert "No service has sent an event yet" in page
    assert 'href="/try"' in page


def test_service_is_shown_with_its_rates_and_incidents(dashboard: TestClient, api: FakeApi) -> None:
    """Counts by level, a picture with the same in words, and every active incident."""
    active = [{"id": number, "rule": "r", "severity": "P1", "status": "open"} for number in range(1, 6)]
    levels = {"FATAL": 1, "CRITICAL": 2, "ERROR": 4, "WARNING": 8, "INFO": 16, "DEBUG": 32}
    api.add_service("cart", active_incidents=active, by_level=levels, minutes=minute_records({4: levels}))

    page = dashboard.get("/services").text

    row = page.split('id="service-cart"')[1]
    assert [int(text) for text in re.findall(r'class="number"[^>]*>(\d+)<', row)] == [3, 4, 8, 48]
    assert 'href="/incidents/3"' in row
    assert 'href="/incidents/4"' not in row
    assert "and 2 more" in row
    assert "1 FATAL, 2 CRITICAL, 4 ERROR, 8 WARNING, 16 INFO, 32 DEBUG" in row
    assert row.count("<rect") == 6


def test_quiet_service_is_called_quiet(dashboard: TestClient, api: FakeApi) -> None:
    """No picture of nothing."""
    api.add_service("cart", minutes=[], by_level={})

    page = dashboard.get("/services").text

    assert "quiet" in page
    assert "columns-chart" not in page


def test_list_has_pages_and_a_search(dashboard: TestClient, api: FakeApi) -> None:
    """Many services are on several pages; a search narrows them and stays in the links."""
    for number in range(PAGE_SIZE + 1):
        api.add_service(f"service-{number}")

    first = dashboard.get("/services?q=service").text

    assert f"1 to {PAGE_SIZE} of {PAGE_SIZE + 1}" in first
    assert 'rel="next" href="/services?q=service&amp;page=2"' in first
    assert 'rel="prev" href="/services?q=service"' in dashboard.get("/services?q=service&page=2").text
    assert "No service matches" in dashboard.get("/services?q=nothing").text


def test_page_of_a_service_has_its_rates_and_incidents(dashboard: TestClient, api: FakeApi) -> None:
    """The last hour by default, up to a day by choice."""
    api.add_service("cart", minutes=minute_records({300: {"ERROR": 9}, 3: {"ERROR": 4}}))
    api.add(service="cart")

    hour, day = dashboard.get("/services/cart").text, dashboard.get("/services/cart?hours=24").text

    assert "ERROR <b>4</b>" in hour
    assert "ERROR <b>13</b>" in day
    assert 'href="/services/cart?hours=24" aria-current="true"' in day
    assert 'href="/incidents/1"' in hour
    assert "What the rules see" not in hour


def test_what_the_rules_see_is_shown_where_the_api_tells(dashboard: TestClient, api: FakeApi) -> None:
    """Count against threshold, reasons and near misses."""
    api.add_service("cart")
    miss = {"count": 4, "first": moment(500), "last": moment(300)}
    window = {"start": "2026-03-01T12:00:00Z", "end": "2026-03-01T12:05:00Z"}
    rule = {"rule": "error-burst", "count": 3, "threshold": 5, "window": window, "near_misses": [miss]}
    api.explanations["cart"] = {"rules": [rule | {"reasons": {"qualified": 3, "no_rule": 1}}], "more": "later"}

    page = dashboard.get("/services/cart").text

    assert "3 of 5 events within 5 minutes" in page
    assert "Near miss: 4 events from 20" in page
    assert "1 matched no rule" in page


def test_page_of_a_service_does_not_need_the_rules(dashboard: TestClient, api: FakeApi) -> None:
    """When the API cannot explain now, that part says so and the rest is there."""
    api.add_service("cart")
    api.explanations["cart"] = problem(503, "the events cannot be read")

    page = dashboard.get("/services/cart")

    assert page.status_code == 200
    assert "This cannot be told now. It answered 503: the events cannot be read" in page.text
    assert "ERROR <b>7</b>" in page.text


def test_service_without_events_but_with_incidents_has_a_page(dashboard: TestClient, api: FakeApi) -> None:
    """Its events may be older than the view; one that nobody knows is not there."""
    api.add(service="cart")

    assert "No event in this time" in dashboard.get("/services/cart").text
    unknown = dashboard.get("/services/unheard-of")
    assert (unknown.status_code, "No such service" in unknown.text) == (404, True)


def test_hostile_name_is_text_and_has_its_page(dashboard: TestClient, api: FakeApi) -> None:
    """Whatever a service calls itself, its link leads to it and nothing of it runs."""
    api.add_service(HOSTILE)
    api.explanations[HOSTILE] = {"rules": [{"rule": HOSTILE, "count": 1, "threshold": 5}]}

    listed = dashboard.get("/services").text
    link = re.search(r'class="text" href="(/services/[^"]+)"', listed)
    assert link is not None
    page = dashboard.get(link[1])

    assert page.status_code == 200
    for text in (listed, page.text):
        assert "<img src=x" not in text
        assert "&lt;img src=x onerror=alert(1)&gt;" in text
    assert "1 of 5 events" in page.text


@pytest.mark.parametrize("address", ["/services", "/services/cart", "/pipeline", "/try"])
def test_api_away_is_told(dashboard: TestClient, api: FakeApi, address: str) -> None:
    """Each page that needs the API says that it is away and leads back to itself; the form needs none."""
    api.is_away = True

    page = dashboard.get(address)

    if address == "/try":
        assert page.status_code == 200
    else:
        assert page.status_code == 503
        assert f'data-away="{address}' in page.text
