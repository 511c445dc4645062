"""The pipeline's page, and sending events from a page."""

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from httpx2 import Response
from starlette.testclient import TestClient

from query_api.dashboard.try_page import EXAMPLES, MAX_EVENTS
from tests.unit.query_api.dashboard.fake_api import FakeApi, Reply, pipeline_record, problem, visibility_record

HOSTILE = "<script>alert(1)</script>"


def send(dashboard: TestClient, **fields: Any) -> Response:
    """Send the form of events, as a browser would."""
    token = re.search(r'name="csrf_token" value="([^"]*)"', dashboard.get("/try").text)
    own = {"csrf_token": token[1] if token else "", "service": "cart", "level": "ERROR", "message": "m", "count": "5"}
    return dashboard.post("/try", data=own | fields)


def test_pipeline_shows_lag_readiness_and_counts(dashboard: TestClient) -> None:
    """Groups with their sums, each partition, each service, each reason in words."""
    page = dashboard.get("/pipeline").text

    assert page.count(">ready<") == 4
    rows = re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)
    cells = [re.findall(r"<td[^>]*>([^<]*)<", row) for row in rows]
    assert ["ops.events", "1", "1,204", "1,216", "12", "18.0 s", "4.0", "3.5", "?"] in cells
    assert "Stable, 1 member<" in page
    assert "<strong>12</strong>" in page
    assert "24,010" in page
    assert "below the level that rules count" in page


def test_pipeline_draws_the_last_hour_of_each_group(dashboard: TestClient, api: FakeApi) -> None:
    """A line from left to right, as high as the group was behind, and the same in words; none for what was not seen."""
    page = dashboard.get("/pipeline").text

    assert 'd="M0.0,100.0L180.0,0.0L360.0,75.0"' in page
    assert re.search(r'aria-label="Lag of ops-materializer since \d\d:\d\d UTC: at most 12 records, 6.0 s"', page)
    assert page.count("lag-line") == 1
    api.lag_history = []
    assert "lag-line" not in dashboard.get("/pipeline").text


def test_pipeline_names_what_is_wrong(dashboard: TestClient, api: FakeApi) -> None:
    """A service that is not ready with its reason, Kafka that tells nothing, and dead letters."""
    services = [{"service": HOSTILE, "url": "http://x", "ready": False, "reasons": {"kafka": HOSTILE}}]
    away = "Kafka at 127.0.0.1:9092 did not tell the offsets"
    api.pipeline = pipeline_record(
        services=services, consumers=[], consumers_unavailable=away, ledger={}, dead_letters={"not_json": 3}
    )

    page = dashboard.get("/pipeline").text

    assert "not ready" in page
    assert away in page
    assert HOSTILE not in page
    assert "not json" in page
    assert "No event was decided on" in page


def test_pipeline_without_offsets_says_when_they_come(dashboard: TestClient, api: FakeApi) -> None:
    """A fresh cluster is not mistaken for a broken one."""
    api.pipeline = pipeline_record(consumers=[])

    assert "No group has committed an offset yet" in dashboard.get("/pipeline").text


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_fill_the_form(dashboard: TestClient, name: str) -> None:
    """Each is one press away from being sent."""
    page = dashboard.get(f"/try?example={name}").text

    burst = EXAMPLES[name].burst
    assert f'value="{burst.service}"' in page
    assert f"<option selected>{burst.level}</option>" in page
    assert f">{burst.message}</textarea>" in page


def test_burst_is_sent_and_leads_to_what_came_of_it(dashboard: TestClient, api: FakeApi) -> None:
    """Through the gateway, marked as from here; the page that follows keeps the form and looks for the incident."""
    answer = send(dashboard, message="out\r\nof memory", count="6")

    assert answer.status_code == 303
    event = {"service": "cart", "level": "ERROR", "message": "out\nof memory", "attributes": {"sent_by": "dashboard"}}
    assert api.sent == [event] * 6
    target = answer.headers["location"]
    assert parse_qs(urlsplit(target).query)["sent"] == ["6"]
    assert "No incident of this service yet" in dashboard.get(target).text
    api.add(service="cart")
    after = dashboard.get(target).text
    assert '<strong>6 ERROR events</strong> of <a href="/services/cart">' in after
    assert 'href="/incidents/1"' in after
    assert ">out\nof memory</textarea>" in after


@pytest.mark.parametrize(
    ("count", "sent"), [("1", 1), ("", 1), ("0", 1), ("-3", 1), ("x", 1), ("100", 100), ("101", 100)]
)
def test_number_of_events_is_bounded(dashboard: TestClient, api: FakeApi, count: str, sent: int) -> None:
    """A page is no load generator."""
    send(dashboard, count=count)

    assert len(api.sent) == sent <= MAX_EVENTS


def test_refusal_of_the_gateway_is_told_and_the_form_kept(dashboard: TestClient, api: FakeApi) -> None:
    """In the gateway's words."""
    api.refusal = problem(422, "message: at least 1 character")

    answer = send(dashboard, message=HOSTILE)

    assert answer.status_code == 422
    assert "The gateway refused it: message: at least 1 character" in answer.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;</textarea>" in answer.text


def test_partly_refused_batch_is_told(dashboard: TestClient, api: FakeApi) -> None:
    """How many, and why the first."""
    rejected = [{"index": 1, "errors": [{"field": "level", "message": "expected one of DEBUG, INFO"}]}]
    api.refusal = Reply(207, {"accepted": 4, "rejected": rejected})

    assert "1 events were refused, 4 accepted. level: expected one of" in send(dashboard).text


def test_silence_is_not_taken_for_refusal(dashboard: TestClient, api: FakeApi) -> None:
    """Without an answer nobody knows; the page says so and keeps the form."""
    page = dashboard.get("/try").text
    token = re.search(r'name="csrf_token" value="([^"]*)"', page)
    assert token is not None
    api.is_away = True

    answer = dashboard.post("/try", data={"csrf_token": token[1], "service": "cart", "level": "ERROR", "message": "m"})

    assert answer.status_code == 503
    assert "is not known" in answer.text
    assert 'value="cart"' in answer.text


def test_form_of_another_site_sends_nothing(dashboard: TestClient, api: FakeApi) -> None:
    """By the token as by the headers."""
    assert send(dashboard, csrf_token="x" * 43).status_code == 403
    dashboard.headers["Sec-Fetch-Site"] = "cross-site"
    assert send(dashboard).status_code == 403
    assert api.sent == []


def test_pipeline_shows_how_long_incidents_take_to_be_seen(dashboard: TestClient) -> None:
    """Of people's services and of the canary; no word of blindness while it sees."""
    page = dashboard.get("/pipeline").text

    rows = [re.findall(r"<td[^>]*>([^<]*)<", row) for row in re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)]
    assert ["incidents", "310 ms", "420 ms", "430 ms", "4"] in rows
    assert ["canary", "280 ms", "390 ms", "510 ms", "360"] in rows
    assert "is blind" not in page


@pytest.mark.parametrize("path", ["/", "/services", "/pipeline"])
def test_blindness_is_on_the_pages_that_people_look_at(dashboard: TestClient, api: FakeApi, path: str) -> None:
    """As an alert with its reason, which is inert; an API that does not tell shows nothing."""
    api.pipeline = pipeline_record(visibility=visibility_record(blind=True, reason=HOSTILE))

    page = dashboard.get(path, headers={"accept": "text/html"}).text

    assert 'role="alert" id="blind"' in page
    assert "The pipeline is blind" in page
    assert HOSTILE not in page
    del api.pipeline["visibility"]
    assert 'id="blind"' not in dashboard.get(path, headers={"accept": "text/html"}).text
