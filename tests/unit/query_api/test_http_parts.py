"""The parts of the HTTP API that need no database: pages, ETags, filters, bodies."""

from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.requests import Request

from query_api.answers import DETAIL, EVENT, INCIDENT, EventAnswer, IncidentAnswer, IncidentDetailAnswer
from query_api.app import create_app
from query_api.etag import etag, matches
from query_api.filters import SORTS, sort_columns
from query_api.models import AnalysisRow, EventRow, IncidentRow
from query_api.paging import Page, Part, links
from query_api.routes.analyze import answers
from query_api.routes.bulk_status import requested_ids
from query_api.routes.common import actor
from query_api.routes.status import requested
from query_api.views import incident_detail, incident_summary
from runtime.problem import Problem
from runtime.settings import load_settings
from schemas.timestamps import to_datetime

AT = to_datetime(1_700_000_000_000_000)
OPENED = {"at": 1, "actor": "system", "what": "opened", "reason": "r", "to_status": "open"}


def _request(raw_path: str, query: str, path: str = "") -> Request:
    scope = {"type": "http", "scheme": "http", "method": "GET", "headers": [(b"host", b"h")]}
    sent = {"path": path or raw_path, "raw_path": raw_path.encode(), "query_string": query.encode()}
    return Request(scope | sent)


def _row(**changes: Any) -> IncidentRow:
    fields: dict[str, Any] = {
        "id": 1, "key": "k1", "version": 5, "service": "checkout", "rule": "error-burst", "record_status": "open",
        "status": "open", "category": "other", "severity": "P3", "summary": "r", "recommended_actions": [],
        "analysis_status": "pending", "event_count": 5, "first_event_at": AT, "last_event_at": AT, "created_at": AT,
        "updated_at": AT, "threshold": 5, "window_micros": 300_000_000, "lateness_micros": 0, "reason": "r",
        "partition": 0, "samples": [], "timeline": [OPENED], "minutes": [[28_333_333, {"ERROR": 5}]],
        "pending_status": None, "pending_change_id": None, "previous_key": None, "merged_into": None,
    }  # fmt: skip
    return IncidentRow(**(fields | changes))


def _changed(change_id: str | None, **more: Any) -> dict[str, Any]:
    return {"at": 2, "actor": "ada", "what": "status_changed", "reason": "r", "change_id": change_id} | more


def _app() -> FastAPI:
    return create_app(load_settings(_env_file=None, database_url="postgresql://nobody@127.0.0.1:1/none"))


def test_links_name_the_pages_around() -> None:
    """Both directions keep the other parameters of the request."""
    url = _request("/api/v1/incidents", "service=a%26b&skip=20&limit=10")

    around: Part[IncidentRow] = Part([], before=True, after=True)

    header = links(url, Page(20, 10), around, ())

    assert header == (
        '<http://h/api/v1/incidents?service=a%26b&skip=30&limit=10>; rel="next", '
        '<http://h/api/v1/incidents?service=a%26b&skip=10&limit=10>; rel="prev"'
    )


@pytest.mark.parametrize(("raw", "path"), [("/services/%E1%9A%9B", "/services/\u169b"), ("/a%3Fb%23c", "/a?b#c")])
def test_links_have_the_path_as_it_was_sent(raw: str, path: str) -> None:
    """A header holds no character beyond Latin-1, and `?` or `#` of a name begin no query."""
    more: Part[IncidentRow] = Part([], before=False, after=True)
    link = links(_request(raw, "level=ERROR&cursor=x", path), Page(0, 2), more, ())
    assert link == f'<http://h{raw}?level=ERROR&skip=2&limit=2>; rel="next"'


def test_only_page_has_no_links() -> None:
    """Where everything fits there is nothing to link to."""
    alone: Part[IncidentRow] = Part([], before=False, after=False)
    assert not links(_request("/", ""), Page(0, 10), alone, ())


def test_previous_page_never_starts_before_the_first() -> None:
    """A page that starts within the first one goes back to the start."""
    assert (
        links(_request("/", ""), Page(3, 10), Part([], before=True, after=False), ())
        == '<http://h/?skip=0&limit=10>; rel="prev"'
    )


def test_etag_ignores_new_events_and_analysis() -> None:
    """A burst that goes on must not refuse the change of whoever works on it."""
    assert etag(_row()) == etag(_row(version=9, event_count=9, category="disk_issue"))


def test_etag_stays_when_a_pending_change_is_confirmed() -> None:
    """What the answer to a PATCH said is still true after the processor has confirmed it."""
    pending = _row(status="resolved", pending_status="resolved", pending_change_id="c1")
    confirmed = _row(status="resolved", timeline=[OPENED, _changed("c1")])

    assert etag(pending) == etag(confirmed)


@pytest.mark.parametrize(
    "row",
    [
        _row(status="resolved", timeline=[OPENED, _changed("c1")]),
        _row(timeline=[OPENED, _changed("c1"), _changed("c2")]),
        _row(timeline=[OPENED, _changed(None, what="quiet")]),
        _row(merged_into="k0"),
    ],
    ids=["status", "there and back", "by the system", "merged"],
)
def test_etag_changes_with_every_change(row: IncidentRow) -> None:
    """Whatever a person or the system did to the incident shows in its tag."""
    assert etag(row) != etag(_row())


@pytest.mark.parametrize(
    ("header", "passes"),
    [(None, True), ("*", True), ('"a"', True), ('"b", "a"', True), ('"b"', False), ('W/"a"', False), ("", False)],
)
def test_if_match(header: str | None, *, passes: bool) -> None:
    """RFC 9110: any of the listed tags passes, weak ones never do, without the header everything does."""
    assert matches(header, '"a"') is passes


@pytest.mark.parametrize("sort", SORTS)
def test_orders_end_with_the_id(sort: str) -> None:
    """The id decides between equals, so that pages neither overlap nor leave out."""
    assert str(sort_columns(sort)[-1]) == "IncidentRow.id"


@pytest.mark.parametrize("body", [None, [], "x", {}, {"status": None}, {"status": ""}, {"note": "n"}])
def test_body_without_status(body: Any) -> None:
    """The words that older clients know."""
    with pytest.raises(Problem) as refused:
        requested(body)

    assert (refused.value.status, refused.value.detail) == (400, "Status is required in request body")


@pytest.mark.parametrize("status", ["reopened", "OPEN", 1, ["open"], {"a": 1}])
def test_body_with_another_status(status: Any) -> None:
    """Only the four words are statuses."""
    with pytest.raises(Problem) as refused:
        requested({"status": status})

    assert (refused.value.status, refused.value.detail) == (
        400,
        "Invalid status. Must be one of: open, investigating, resolved, closed",
    )


@pytest.mark.parametrize("note", [1, ["n"], "n" * 4_001])
def test_body_with_a_note_that_is_none(note: Any) -> None:
    """A note is a text of bounded length."""
    with pytest.raises(Problem) as refused:
        requested({"status": "open", "note": note})

    assert refused.value.status == 422


def test_note_can_be_stored() -> None:
    """A NUL in a note would stop the view later."""
    assert requested({"status": "closed", "note": "a\0"}) == ("closed", "a\ufffd")


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (None, "anonymous"),
        ("  ", "anonymous"),
        (" ada ", "ada"),
        ("Ren\xc3\xa9e", "Ren\xe9e"),
        ("Ren\xe9e", "Ren\xe9e"),
        ("x" * 101, "x" * 100),
    ],
)
def test_actor(header: str | None, name: str) -> None:
    """Headers arrive as latin-1 although names are often sent as UTF-8."""
    assert actor(header) == name


def _analysis(request_id: str | None) -> AnalysisRow:
    fields: dict[str, Any] = {"request_id": request_id}
    return AnalysisRow(**fields)


@pytest.mark.parametrize(
    ("now", "before", "done"),
    [
        (None, None, False),
        (_analysis(None), None, False),
        (_analysis("old"), _analysis("old"), False),
        (_analysis("mine"), _analysis("old"), True),
        (_analysis("other"), _analysis("old"), True),
    ],
    ids=["none", "automatic", "the one before", "mine", "another person's, newer"],
)
def test_when_a_request_is_answered(now: AnalysisRow | None, before: AnalysisRow | None, *, done: bool) -> None:
    """An analysis that a person asked for and that was not there before the request answers it."""
    assert answers(now, "mine", before) is done


def test_answers_keep_their_documented_shape() -> None:
    """What the views make is exactly what the OpenAPI document promises, examples included."""
    summary = incident_summary(_row())
    event: dict[str, Any] = {"id": "e", "service": "s", "level": "ERROR", "message": "m", "event_time": AT}
    events = [(EventRow(**event), 1)]
    detail = incident_detail(_row(previous_key="k0"), analysis=None, corrections=[], events=events, related={"k0": 9})

    assert set(summary) == set(IncidentAnswer.model_fields) == set(INCIDENT)
    assert set(detail) == set(IncidentDetailAnswer.model_fields) == set(DETAIL)
    assert set(detail["events"][0]) == set(EventAnswer.model_fields) == set(EVENT)
    assert (detail["previous_incident_id"], detail["window"]) == (9, 300.0)
    IncidentDetailAnswer.model_validate(detail)
    IncidentDetailAnswer.model_validate(DETAIL)


@pytest.mark.parametrize(
    "query",
    [
        "incidents?status_filter=new", "incidents?sort=sideways", "incidents?severity=P9", "incidents?category=x",
        "incidents?limit=0", "incidents?limit=1001", "incidents?skip=-1", "incidents?since=yesterday",
        "incidents?since=2026-01-01T00:00:00", "incidents?since=0.5", "incidents?until=0001-01-01T00:00:00%2B10:00",
        "events?level=LOUD", "events?limit=0", "events?incident_id=x",
    ],
)  # fmt: skip
def test_senseless_queries_are_refused(query: str) -> None:
    """422 as a problem whose sentence names the parameter, before anything is asked of the database."""
    answer = TestClient(_app()).get(f"/api/v1/{query}")

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert query.partition("?")[2].partition("=")[0] in answer.json()["detail"]


@pytest.mark.parametrize("ids", [None, [], [1.5], ["1"], [True], {"1": 2}, list(range(501))], ids=str)
def test_change_of_many_needs_ids(ids: Any) -> None:
    """One to five hundred integers; anything else is told."""
    with pytest.raises(Problem, match="expected 1 to 500 ids"):
        requested_ids({"status": "closed", "ids": ids})
