"""Correcting an analysis through the page's form: done, taken back, refused, outrun by somebody else, forged."""

from starlette.testclient import TestClient

from tests.unit.query_api.dashboard.fake_api import FakeApi, set_status
from tests.unit.query_api.dashboard.test_dashboard_status_form import form_of

PATH = "/incidents/1/correction"


def test_a_correction_is_shown_with_who_made_it_and_why(dashboard: TestClient, api: FakeApi) -> None:
    """It leads back to the incident, whose category and severity are the corrected ones."""
    incident = api.add()
    fields = form_of(dashboard, category="network_issue", severity="P3", note="the switch\r\nin rack 4", actor="Zoë")

    answer = dashboard.post(PATH, data=fields)

    assert (answer.status_code, answer.headers["location"]) == (303, "/incidents/1?corrected=1")
    assert (incident["category"], incident["severity"]) == ("network_issue", "P3")
    assert incident["correction"]["note"] == "the switch\nin rack 4"
    page = dashboard.get(answer.headers["location"]).text
    assert "The analysis was corrected" in page
    assert 'value="network_issue" selected' in page
    assert "Zoë</strong> corrected the analysis" in page


def test_a_correction_is_taken_back_by_as_analysed(dashboard: TestClient, api: FakeApi) -> None:
    """The empty choices."""
    incident = api.add()
    assert dashboard.post(PATH, data=form_of(dashboard, category="", severity="")).status_code == 303
    assert (incident["correction"]["category"], incident["correction"]["severity"]) == (None, None)


def test_a_correction_of_what_has_changed_is_refused(dashboard: TestClient, api: FakeApi) -> None:
    """With the API's own sentence, on a fresh page."""
    incident = api.add()
    fields = form_of(dashboard, category="network_issue", severity="")
    set_status(incident, "resolved", "somebody")

    answer = dashboard.post(PATH, data=fields)

    assert answer.status_code == 412
    assert "The analysis was not corrected" in answer.text
    assert "read it again" in answer.text


def test_a_forged_correction_is_refused(dashboard: TestClient, api: FakeApi) -> None:
    """Without the page's token nothing is sent."""
    incident = api.add()
    fields = form_of(dashboard, category="network_issue", severity="", csrf_token="forged")
    assert dashboard.post(PATH, data=fields).status_code == 403
    assert "correction" not in incident


def test_there_is_no_form_for_an_incident_that_was_merged(dashboard: TestClient, api: FakeApi) -> None:
    """Work on the other one."""
    api.add(merged_into=2)
    assert "Correct the analysis" not in dashboard.get("/incidents/1").text
