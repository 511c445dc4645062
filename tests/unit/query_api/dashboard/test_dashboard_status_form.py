"""Changing a status through the page's form: done, refused, outrun by somebody else, forged."""

import html
import json
import re
from typing import Any

import pytest
from httpx2 import Response
from starlette.testclient import TestClient

from query_api.dashboard.forms import MAX_NOTE
from tests.unit.query_api.dashboard.fake_api import FakeApi, set_status


def form_of(dashboard: TestClient, **changes: str) -> dict[str, str]:
    """The fields of the page's form, as a browser would send them."""
    page = dashboard.get("/incidents/1").text
    hidden = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page)
    return {name: html.unescape(value) for name, value in hidden} | {"note": "", "actor": ""} | changes


def send(dashboard: TestClient, fields: dict[str, Any], **headers: str) -> Response:
    """Send the form."""
    return dashboard.post("/incidents/1", data=fields, headers=headers)


def test_button_changes_the_status(dashboard: TestClient, api: FakeApi) -> None:
    """A press changes the status with note and name, and leads back to the incident."""
    incident = api.add()

    answer = send(dashboard, form_of(dashboard, status="investigating", note="looking\r\nnow", actor="Zoë Müller"))

    assert answer.status_code == 303
    assert answer.headers["location"] == "/incidents/1?changed=investigating"
    assert incident["status"] == "investigating"
    assert incident["timeline"][-1]["actor"] == "Zoë Müller"
    assert incident["timeline"][-1]["note"] == "looking\nnow"
    after = dashboard.get(answer.headers["location"]).text
    assert "The status was set to <strong>investigating</strong>" in after
    assert 'value="Zoë Müller"' in after


@pytest.mark.parametrize(("status", "sent"), [("resolved", "noise"), ("investigating", None)])
def test_a_verdict_goes_with_the_end_of_the_work(
    dashboard: TestClient, api: FakeApi, status: str, sent: str | None
) -> None:
    """What it was is told when it is resolved or closed; with another button the choice is left out."""
    api.add()

    send(dashboard, form_of(dashboard, status=status, verdict="noise"))

    body = json.loads(next(call.body for call in api.calls if call.method == "PATCH"))
    assert body.get("verdict") == sent


def test_what_people_judged_and_what_is_on_trial_is_shown(dashboard: TestClient, api: FakeApi) -> None:
    """At the head of the page."""
    api.add(verdict="noise", shadow=True)

    page = dashboard.get("/incidents/1").text

    assert "judged: noise, nothing was wrong" in page
    assert "is on trial" in page


def test_status_changed_by_another_is_told(dashboard: TestClient, api: FakeApi) -> None:
    """A page that shows a status of before changes nothing, says so, and keeps the note."""
    incident = api.add()
    fields = form_of(dashboard, status="investigating", note="mine")
    set_status(incident, "resolved", "somebody")

    answer = send(dashboard, fields)

    assert answer.status_code == 412
    assert "Somebody else changed this incident" in answer.text
    assert ">mine</textarea>" in answer.text
    assert incident["status"] == "resolved"


def test_change_and_back_is_told_too(dashboard: TestClient, api: FakeApi) -> None:
    """Another person's round trip is a change even though the status is as it was."""
    incident = api.add()
    fields = form_of(dashboard, status="resolved")
    set_status(incident, "resolved", "somebody")
    set_status(incident, "open", "somebody")

    assert "it is <strong>open</strong> again" in send(dashboard, fields).text
    assert incident["status"] == "open"


def test_more_events_do_not_make_a_page_stale(dashboard: TestClient, api: FakeApi) -> None:
    """Events that came since the page was loaded are no reason to refuse a person's decision."""
    incident = api.add()
    fields = form_of(dashboard, status="resolved")
    incident["event_count"] += 1

    assert send(dashboard, fields).status_code == 303
    assert incident["status"] == "resolved"


def test_refusal_is_shown_with_the_sentence_of_the_api(dashboard: TestClient, api: FakeApi) -> None:
    """A step that the API does not allow keeps its status and its sentence."""
    api.add(status="closed")

    answer = send(dashboard, form_of(dashboard) | {"status": "open", "etag": "", "csrf_token": token(dashboard)})

    assert answer.status_code == 409
    assert "The incident is closed, which is final" in html.unescape(answer.text)


def test_api_away_during_a_change_is_not_taken_for_done(dashboard: TestClient, api: FakeApi) -> None:
    """A change without an answer is called unconfirmed, and its note is not lost."""
    api.add()
    fields = form_of(dashboard, status="resolved", note="a long story")
    api.is_away = True

    answer = send(dashboard, fields)

    assert answer.status_code == 503
    assert "was not confirmed" in answer.text
    assert "a long story" in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_form_of_another_site_is_refused(dashboard: TestClient, api: FakeApi, headers: dict[str, str]) -> None:
    """A browser says where a form comes from; from elsewhere nothing is changed, right token or not."""
    incident = api.add()

    answer = send(dashboard, form_of(dashboard, status="resolved"), **headers)

    assert answer.status_code == 403
    assert incident["status"] == "open"


@pytest.mark.parametrize(
    ("origin", "status"),
    [("https://evil.example", 403), ("null", 403), ("http://localhost", 303)],
)
def test_origin_decides_where_a_browser_is_old(dashboard: TestClient, api: FakeApi, origin: str, status: int) -> None:
    """Without Sec-Fetch-Site the Origin must be our own."""
    api.add()
    fields = form_of(dashboard, status="resolved")
    del dashboard.headers["Sec-Fetch-Site"]

    assert send(dashboard, fields, Origin=origin).status_code == status


@pytest.mark.parametrize("wrong", ["", "x" * 43, "ü"])
def test_form_without_the_token_of_this_browser_is_refused(dashboard: TestClient, api: FakeApi, wrong: str) -> None:
    """The token of the form must be that of the cookie."""
    incident = api.add()

    answer = send(dashboard, form_of(dashboard, status="resolved") | {"csrf_token": wrong})

    assert answer.status_code == 403
    assert incident["status"] == "open"


def test_form_without_cookie_is_refused(dashboard: TestClient, api: FakeApi) -> None:
    """A token without its cookie is worth nothing."""
    api.add()
    fields = form_of(dashboard, status="resolved")
    dashboard.cookies.clear()

    assert send(dashboard, fields).status_code == 403


@pytest.mark.parametrize(
    "changes",
    [{"status": "burning"}, {"status": ""}, {"etag": '"a"\r\nX-Evil: 1'}, {"note": "n" * 70_000}],
)
def test_unusable_form_is_a_bad_request(dashboard: TestClient, api: FakeApi, changes: dict[str, str]) -> None:
    """What our own page would never send is refused before anything is asked of the API."""
    incident = api.add()

    assert send(dashboard, form_of(dashboard, status="resolved") | changes).status_code == 400
    assert incident["status"] == "open"


def test_body_that_is_no_form_is_a_bad_request(dashboard: TestClient, api: FakeApi) -> None:
    """JSON, more fields than any form has, and broken encodings are refused."""
    api.add()
    form = {"Content-Type": "application/x-www-form-urlencoded"}

    assert dashboard.post("/incidents/1", json={"status": "open"}).status_code == 400
    assert dashboard.post("/incidents/1", content=b"a=1&" * 100, headers=form).status_code == 400
    assert dashboard.post("/incidents/1", content=b"note=%ff", headers=form).status_code == 400
    assert dashboard.post("/incidents/1", content=b"note=\xff", headers=form).status_code == 400


def test_long_texts_are_cut_and_names_cannot_break_headers(dashboard: TestClient, api: FakeApi) -> None:
    """A note is cut to its limit; a name with line breaks is one line."""
    incident = api.add()

    send(dashboard, form_of(dashboard, status="resolved", note="n" * (MAX_NOTE + 9), actor="a\r\nX-Evil: 1"))

    assert incident["timeline"][-1]["note"] == "n" * MAX_NOTE
    assert incident["timeline"][-1]["actor"] == "a X-Evil: 1"


def token(dashboard: TestClient) -> str:
    """The token that this browser holds."""
    return str(dashboard.cookies["ops_assist_csrf"])
