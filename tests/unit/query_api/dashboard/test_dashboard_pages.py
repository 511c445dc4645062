"""What the pages show, and what they say when the API does not answer as hoped."""

import re

import httpx
import pytest
from starlette.testclient import TestClient

from query_api.dashboard.app import create_app
from query_api.dashboard.list_query import PAGE_SIZE
from runtime.settings import load_settings
from tests.unit.query_api.dashboard.fake_api import (
    SUMMARY,
    FakeApi,
    analysis_record,
    event_record,
    minute_records,
    moment,
)

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&{{ 7*7 }}"


def test_list_shows_incidents_and_counters(dashboard: TestClient, api: FakeApi) -> None:
    """The list has a row for each incident and a counter for each status."""
    api.add()
    api.add(status="closed", service="mailer", summary=None, severity=None, category=None, analysis_status="pending")

    page = dashboard.get("/")

    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert SUMMARY in page.text
    assert "P1 <span" in page.text
    assert "No summary yet" in page.text
    counters = re.findall(r'<span class="count[^"]*">(\d+)</span> (\w+)', page.text)
    assert counters[:5] == [("2", "all"), ("1", "open"), ("0", "investigating"), ("0", "resolved"), ("1", "closed")]
    assert counters[5:] == [("1", "P1"), ("0", "P2"), ("1", "P3")]


def test_filters_come_from_the_address(dashboard: TestClient, api: FakeApi) -> None:
    """Status and search in the address reach the API and stay in the page's links."""
    api.add(service="alpha")
    api.add(service="beta", status="resolved")

    page = dashboard.get("/?status=resolved&q=beta")

    assert "incident-2" in page.text
    assert "incident-1" not in page.text
    assert 'href="/?status=open&amp;q=beta"' in page.text
    asked = next(call for call in api.calls if call.params.get("limit") == str(PAGE_SIZE))
    assert asked.params == {"status_filter": "resolved", "q": "beta", "limit": str(PAGE_SIZE), "skip": "0"}


def test_list_has_pages(dashboard: TestClient, api: FakeApi) -> None:
    """More incidents than fit on a page lead to an older and a newer one."""
    for _ in range(PAGE_SIZE + 1):
        api.add(events=[])

    assert 'rel="next" href="/?page=2"' in dashboard.get("/").text
    second = dashboard.get("/?page=2").text

    assert 'rel="prev" href="/"' in second
    assert "51 to 51 of 51" in second
    assert "This page is empty" in dashboard.get("/?page=9").text


def test_empty_list_tells_a_newcomer_what_to_do(dashboard: TestClient) -> None:
    """Without incidents the page shows how to make one."""
    page = dashboard.get("/").text

    assert "./create_incidents.sh http://localhost:8000" in page
    assert "curl http://localhost:8000/api/v1/events" in page


def test_filters_without_a_match_say_so(dashboard: TestClient, api: FakeApi) -> None:
    """An empty answer to a search is not mistaken for an empty pipeline."""
    api.add()

    page = dashboard.get("/?q=nothing-like-this").text

    assert "No incident matches" in page
    assert "create_incidents.sh" not in page


def test_unknown_status_shows_the_problem_of_the_api(dashboard: TestClient) -> None:
    """What the API refuses is told in its own words and with its own status."""
    page = dashboard.get("/?status=burning")

    assert page.status_code == 422
    assert "must be one of open, investigating, resolved, closed" in page.text


def test_incident_shows_why_it_fired(dashboard: TestClient, api: FakeApi) -> None:
    """The incident's page has the reason, the threshold and window, the analysis, the actions and the events."""
    api.add(previous_incident_id=9)

    page = dashboard.get("/incidents/1").text

    for text in (
        "5 events at ERROR or above of order-service within 5 minutes",
        "(it takes 5)",
        "5 minutes",
        "QueuePool limit of size 20 reached",
        "82%",
        "the built-in rules",
        "Restart the stuck workers.",
        "opened the incident",
        'href="/incidents/9"',
        "7 of 7, newest first",
    ):
        assert text in page


def test_evidence_leads_to_its_event_where_that_is_shown(dashboard: TestClient, api: FakeApi) -> None:
    """A quote of one of the newest events is one click from it; an older event is named."""
    quotes = [{"event_id": event_id, "quote": "reached"} for event_id in ("e-0", "long-gone")]
    api.add(analysis=analysis_record(evidence=quotes))
    page = dashboard.get("/incidents/1").text
    assert 'href="#event-e-0"' in page
    assert 'id="event-e-0"' in page
    assert "long-gone" in page
    assert "#event-long-gone" not in page


def test_list_says_which_analyses_are_not_done(dashboard: TestClient, api: FakeApi) -> None:
    """A finished one, which is the rule, needs no word."""
    api.add()
    assert "analysis " not in dashboard.get("/").text.split('id="incident-1"')[1]
    api.add(analysis_status="skipped_budget")
    assert "analysis skipped budget" in dashboard.get("/").text


def test_incident_without_analysis_says_that_it_comes(dashboard: TestClient, api: FakeApi) -> None:
    """An incident is shown before its analysis exists."""
    api.add(analysis=None, summary=None, recommended_actions=[], severity=None)

    assert "No analysis yet" in dashboard.get("/incidents/1").text


def test_merged_incident_leads_to_the_other(dashboard: TestClient, api: FakeApi) -> None:
    """An incident that is part of another has a link there and no buttons."""
    api.add(merged_into=4)

    page = dashboard.get("/incidents/1").text

    assert 'href="/incidents/4"' in page
    assert "<button" not in page


def test_unconfirmed_status_is_told(dashboard: TestClient, api: FakeApi) -> None:
    """A change that the processor has not confirmed yet is shown as such."""
    api.add(status_pending=True)

    assert "about to confirm" in dashboard.get("/incidents/1").text


@pytest.mark.parametrize(
    ("status", "buttons"),
    [
        ("open", ["Start investigation", "Resolve", "Close for good"]),
        ("investigating", ["Resolve", "Close for good"]),
        ("resolved", ["Reopen", "Reopen and investigate", "Close for good"]),
        ("closed", []),
    ],
)
def test_buttons_are_the_allowed_steps(dashboard: TestClient, api: FakeApi, status: str, buttons: list[str]) -> None:
    """Only steps that the lifecycle allows have a button."""
    api.add(status=status)

    page = dashboard.get("/incidents/1").text

    assert re.findall(r'<button id="to-[^>]*>([^<]*)</button>', page) == buttons


def test_text_from_outside_is_inert(dashboard: TestClient, api: FakeApi) -> None:
    """Markup, quotes and template syntax in any text from outside are shown as text."""
    timeline = [
        {"time": "2026-01-01T00:00:00Z", "actor": HOSTILE, "what": HOSTILE, "from": HOSTILE, "to": "open"}
        | {"reason": HOSTILE, "note": HOSTILE}
    ]
    analysis = dict.fromkeys(("category", "summary", "analyzed_by", "analysis_status", "reason"), HOSTILE)
    api.add(
        service=HOSTILE,
        summary=HOSTILE,
        severity=HOSTILE,
        category=HOSTILE,
        rule=HOSTILE,
        reason=HOSTILE,
        recommended_actions=[HOSTILE],
        analysis_status=HOSTILE,
        analysis=analysis | {"evidence": [{"event_id": HOSTILE, "quote": HOSTILE}]},
        timeline=timeline,
        events=[event_record(0, HOSTILE), event_record(1, HOSTILE * 20)],
    )

    for address in ("/", "/incidents/1", f"/?q={HOSTILE}"):
        page = dashboard.get(address).text
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert "{{ 7*7 }}" in page


def test_invisible_characters_are_made_visible(dashboard: TestClient, api: FakeApi) -> None:
    """Controls, and direction overrides cannot hide what was logged."""
    api.add(events=[event_record(0, "pay\u202eload\x1b[31m end")])

    page = dashboard.get("/incidents/1")

    assert page.status_code == 200
    assert "pay[U+202E]load[U+001B][31m end" in page.text


def test_missing_incident_is_404(dashboard: TestClient) -> None:
    """An incident that does not exist gets a page that says so."""
    page = dashboard.get("/incidents/12")

    assert page.status_code == 404
    assert "No such incident" in page.text


def test_api_away_is_told_and_passes(dashboard: TestClient, api: FakeApi) -> None:
    """While the API is away each page is a 503 that says what to check; afterwards it is itself again."""
    api.add()
    api.is_away = True

    for address in ("/", "/incidents/1"):
        page = dashboard.get(address)
        assert page.status_code == 503
        assert page.headers["retry-after"] == "5"
        assert "The API does not answer" in page.text
        assert "make run" in page.text
        assert "API_URL" in page.text

    api.is_away = False
    assert dashboard.get("/").status_code == 200


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (httpx.Response(503, json={"detail": "The database cannot be reached"}), "503: The database cannot be reached"),
        (httpx.Response(502, text="<b>bad</b> gateway"), "502: Bad Gateway"),
    ],
)
def test_api_that_cannot_serve_is_told_in_its_words(answer: httpx.Response, text: str) -> None:
    """An API that is there but cannot serve is quoted; one that speaks no JSON is not parroted."""
    app = create_app(load_settings(_env_file=None), httpx.MockTransport(lambda _: answer))
    with TestClient(app, "http://localhost") as client:
        page = client.get("/", headers={"Accept": "text/html"})

    assert page.status_code == 503
    assert text in page.text
    assert "<b>" not in page.text


def test_strange_answer_of_the_api_is_no_crash(dashboard: TestClient, api: FakeApi) -> None:
    """An answer in a shape that the dashboard does not know is told as such."""
    api.add(event_count="many")

    page = dashboard.get("/incidents/1")

    assert page.status_code == 503
    assert "cannot read" in page.text


def test_list_has_the_last_hour_of_each_service(dashboard: TestClient, api: FakeApi) -> None:
    """One question for all services of the page; a service without severe events is quiet."""
    api.add(service="alpha")
    api.add(service="alpha")
    api.add(service="beta")
    api.add_service("alpha", minutes=minute_records({2: {"ERROR": 3, "INFO": 9}, 1: {"FATAL": 2}}))

    page = dashboard.get("/").text

    assert page.count("5 severe events in the last hour, at most 3 a minute") == 2
    assert page.count(">quiet<") == 1
    (asked,) = [call for call in api.calls if call.path == "/api/v1/services"]
    assert asked.services == ["alpha", "beta"]


def test_counters_count_each_other_s_filter(dashboard: TestClient, api: FakeApi) -> None:
    """Statuses are counted within the severity, severities within the status; pressing a chosen severity frees it."""
    for status, severity in (("open", "P1"), ("open", "P2"), ("closed", "P1")):
        api.add(status=status, severity=severity)

    page = dashboard.get("/?status=open&severity=P1").text

    counters = re.findall(r'<span class="count[^"]*">(\d+)</span> (\w+)', page)
    assert counters == [
        *(("2", "all"), ("1", "open"), ("0", "investigating"), ("0", "resolved"), ("1", "closed")),
        *(("1", "P1"), ("1", "P2"), ("0", "P3")),
    ]
    assert 'id="tab-P1" class="p1" href="/?status=open"' in page
    assert 'id="tab-P2" class="p2" href="/?status=open&amp;severity=P2"' in page


def test_incident_has_its_rate_with_the_window_marked(dashboard: TestClient, api: FakeApi) -> None:
    """From the service's counts by minute."""
    api.add(first_event_at=moment(240), last_event_at=moment(60))
    api.add_service("order-service", minutes=minute_records({4: {"ERROR": 5, "INFO": 2}, 20: {"INFO": 7}}))

    page = dashboard.get("/incidents/1").text

    assert "Events of order-service around the incident: 5 ERROR, 9 INFO" in page
    assert page.count('class="band"') == 1


def test_incident_s_own_minutes_stand_in_for_counts_that_are_gone(dashboard: TestClient, api: FakeApi) -> None:
    """Counts are kept for days; the record of an incident has its first minutes for ever."""
    week = 8 * 86_400
    minute = {"minute": moment(week), "by_level": {"ERROR": 6}}
    api.add(first_event_at=moment(week), last_event_at=moment(week - 60), minutes=[minute])

    assert "ERROR <b>6</b>" in dashboard.get("/incidents/1").text


def test_events_have_pages(dashboard: TestClient, api: FakeApi) -> None:
    """The newest hundred come with the incident, the older ones page by page."""
    api.add(events=[event_record(number) for number in range(250)], event_count=250)

    first, last = dashboard.get("/incidents/1").text, dashboard.get("/incidents/1?events=3").text

    assert "1 to 100 of 250" in first
    assert 'href="/incidents/1?events=2#events"' in first
    assert "201 to 250 of 250" in last
    assert 'id="event-e-249"' in last
    assert 'id="event-e-0"' not in last
    assert "no events this far back" in dashboard.get("/incidents/1?events=9").text


def test_similar_incidents_are_shown_where_the_api_tells(dashboard: TestClient, api: FakeApi) -> None:
    """With what ended them; an API that does not know the route leaves no trace."""
    api.add()
    assert "Similar incidents" not in dashboard.get("/incidents/1").text
    alike = {"id": 7, "service": "mail", "status": "closed", "summary": HOSTILE, "similarity": 0.87}
    api.similar[1] = [alike | {"resolution": {"actor": "ada", "note": "Raised the pool to 40."}}]

    page = dashboard.get("/incidents/1").text

    assert 'href="/incidents/7"' in page
    assert "87% alike" in page
    assert "Raised the pool to 40." in page
    assert "<script>alert" not in page


def test_analysis_says_what_it_cost(dashboard: TestClient, api: FakeApi) -> None:
    """The rules cost nothing, a model what it says."""
    api.add()
    api.add(analysis=analysis_record(analyzed_by="openai/gpt-4o-mini", cost_usd=0.00213))

    assert "<dt>Cost</dt><dd>nothing</dd>" in dashboard.get("/incidents/1").text
    assert "<dt>Cost</dt><dd>0.0021 USD</dd>" in dashboard.get("/incidents/2").text
