"""Changing several incidents from the list: each for itself, and what is said of each."""

import html
import re
from typing import Any

import pytest
from httpx2 import Response
from starlette.testclient import TestClient

from query_api.dashboard.list_query import PAGE_SIZE
from tests.unit.query_api.dashboard.fake_api import FakeApi, set_status


def send(dashboard: TestClient, chosen: list[str], address: str = "/", **fields: Any) -> Response:
    """Send the list's form, as a browser would that has just loaded the list."""
    page = dashboard.get(address).text
    token = re.search(r'name="csrf_token" value="([^"]*)"', page)
    own = {"csrf_token": token[1] if token else "", "status": "resolved", "note": "", "actor": ""}
    return dashboard.post(address, data={"incident": chosen} | own | fields)


def test_chosen_incidents_are_changed(dashboard: TestClient, api: FakeApi) -> None:
    """With note and name; the others are left alone."""
    for _ in range(3):
        api.add()

    answer = send(dashboard, ["1:open", "3:open"], note="one cause", actor="Zoë")

    assert answer.status_code == 200
    assert "2 of 2 incidents were set to <strong>resolved</strong>" in answer.text
    assert [item["status"] for item in api.incidents.values()] == ["resolved", "open", "resolved"]
    entry = api.incidents[3]["timeline"][-1]
    assert (entry["actor"], entry["note"]) == ("Zoë", "one cause")
    assert 'value="Zoë"' in dashboard.get("/").text


def test_each_incident_says_how_it_went(dashboard: TestClient, api: FakeApi) -> None:
    """Changed by another, refused by the lifecycle, unknown: each is named with its reason, and the note is kept."""
    for status in ("open", "open", "closed"):
        api.add(status=status)
    set_status(api.incidents[2], "investigating", "somebody")

    answer = send(dashboard, ["1:open", "2:open", "3:closed", "77:open"], note="mine")

    text = html.unescape(answer.text)
    assert "1 of 4 incidents was set to" in text
    assert "#2</a> was not changed: The incident is investigating by now; it was open when you chose it" in text
    assert "#3</a> was not changed: The incident is closed, which is final" in text
    assert "#77</a> was not changed: There is no incident 77" in text
    assert 'value="mine"' in text


def test_filters_stay_after_a_change(dashboard: TestClient, api: FakeApi) -> None:
    """The list shown afterwards is the one that was seen before."""
    api.add(service="alpha")
    api.add(service="beta")

    answer = send(dashboard, ["1:open"], "/?service=alpha")

    assert 'id="incident-1"' in answer.text
    assert 'id="incident-2"' not in answer.text
    assert 'action="/?service=alpha"' in answer.text


def test_change_without_an_answer_is_unconfirmed(dashboard: TestClient, api: FakeApi) -> None:
    """When the API goes away meanwhile, nothing is called done."""
    api.add()
    page = dashboard.get("/").text
    token = re.search(r'name="csrf_token" value="([^"]*)"', page)
    assert token is not None
    api.is_away = True

    answer = dashboard.post("/", data={"incident": ["1:open"], "status": "closed", "csrf_token": token[1]})

    assert answer.status_code == 503
    assert "The API does not answer" in answer.text
    assert "Your change to <strong>closed</strong> was not confirmed" in answer.text


@pytest.mark.parametrize(
    ("chosen", "status"),
    [([], "resolved"), (["x"], "resolved"), (["1"], "resolved"), (["1:open"], "burning"), (["1:open\r\n"], "open")],
)
def test_unusable_form_is_a_bad_request(dashboard: TestClient, api: FakeApi, chosen: list[str], status: str) -> None:
    """Nothing chosen, no number, or no status: nothing is asked of the API."""
    api.add()

    assert send(dashboard, chosen, status=status).status_code == 400
    assert all(call.method == "GET" for call in api.calls)


def test_whole_page_can_be_chosen(dashboard: TestClient, api: FakeApi) -> None:
    """As many as a page holds fit into one form."""
    for _ in range(PAGE_SIZE):
        api.add(events=[])

    answer = send(dashboard, [f"{number}:open" for number in api.incidents])

    assert f"{PAGE_SIZE} of {PAGE_SIZE} incidents were set" in answer.text


def test_form_of_another_site_is_refused(dashboard: TestClient, api: FakeApi) -> None:
    """By the token as by the headers."""
    api.add()

    assert send(dashboard, ["1:open"], csrf_token="x" * 43).status_code == 403
    dashboard.headers["Sec-Fetch-Site"] = "cross-site"
    assert send(dashboard, ["1:open"]).status_code == 403
    assert api.incidents[1]["status"] == "open"
