"""The explain route asks the query API for a service's past and answers with the detection's view of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
from fastapi.testclient import TestClient

from runtime.settings import Settings, load_settings
from schemas.timestamps import MICROSECONDS, from_rfc3339, to_rfc3339
from stream_processor.explain import source
from stream_processor.explain.app import create_app

START = 1_700_000_000
SERVICE = "team-1/checkout"


class FakeQueryApi:
    """Answers as the query API does, from lists."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.incidents: list[dict[str, Any]] = []
        self.timelines: dict[int, list[dict[str, Any]]] = {}
        self.asked: list[str] = []
        self.fault: Callable[[], httpx.Response] | None = None

    def add(self, second: float, level: str = "ERROR", incident_id: int | None = None) -> None:
        at = to_rfc3339(int((START + second) * MICROSECONDS))
        number = len(self.events)
        self.events.append(
            {"id": f"e{number}", "level": level, "message": "boom", "timestamp": at, "attributes": None, "partition": 0}
            | {"offset": number, "index": 0, "received_at": at, "incident_id": incident_id}
        )

    def add_incident(self, key: str, first: float, last: float, count: int, status: str = "open") -> None:
        times = {
            name: to_rfc3339(int((START + second) * MICROSECONDS))
            for name, second in (("first_event_at", first), ("last_event_at", last))
        }
        number = len(self.incidents) + 1
        self.incidents.append(
            {"id": number, "key": key, "rule": "error-burst", "status": status, "event_count": count} | times
        )

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.fault:
            return self.fault()
        path, query = request.url.path, request.url.params
        self.asked.append(unquote(str(request.url.raw_path)))
        if path == "/api/v1/incidents":
            return httpx.Response(200, json=self.incidents)
        if path.startswith("/api/v1/incidents/"):
            return httpx.Response(200, json={"timeline": self.timelines.get(int(path.rpartition("/")[2]), [])})
        assert path == f"/api/v1/services/{SERVICE}/events"
        if not self.events:
            return httpx.Response(404, json={"detail": f"No event of service {SERVICE} is known"})
        since, until = from_rfc3339(query["since"]), from_rfc3339(query["until"])
        newest_first = sorted(self.events, key=lambda event: str(event["timestamp"]), reverse=True)
        found = [event for event in newest_first if since <= from_rfc3339(event["timestamp"]) < until]
        skip, limit = int(query["skip"]), int(query["limit"])
        return httpx.Response(200, json=found[skip : skip + limit])


@pytest.fixture
def api() -> FakeQueryApi:
    return FakeQueryApi()


def ask(api: FakeQueryApi, at: str | None = None, settings: Settings | None = None) -> Any:
    app = create_app(settings or load_settings(_env_file=None), httpx.MockTransport(api))
    with TestClient(app) as client:
        return client.get(f"/api/v1/services/{SERVICE.replace('/', '%2F')}/explain", params={"at": at} if at else {})


def moment(second: float) -> str:
    return to_rfc3339(int((START + second) * MICROSECONDS))


def test_four_of_five_are_told_with_window_reasons_and_near_miss(api: FakeQueryApi) -> None:
    """The answer to "why is there no incident?"."""
    for second in range(4):
        api.add(second)
    api.add(4, "INFO")
    answer = ask(api, moment(10))
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["service"], found["at"], found["events"], found["cut"]) == (SERVICE, moment(10), 5, False)
    assert (found["since"], found["newest_event_at"]) == (moment(10 - 300 - 600 - 3600), moment(4))
    [rule] = found["rules"]
    assert rule == {
        "rule": "error-burst",
        "kind": "count",
        "shadow": False,
        "note": "",
        "count": 4,
        "threshold": 5,
        "window": {"start": moment(-290), "end": moment(10)},
        "reasons": {"below_level": 1, "qualified": 4},
        "incident": None,
        "near_misses": [{"count": 4, "first": moment(0), "last": moment(3)}],
    }


def test_an_active_incident_has_the_number_that_people_know_it_by(api: FakeQueryApi) -> None:
    """The key that the detection finds is the view's."""
    for second in range(6):
        api.add(second)
    key = ask(api, moment(5)).json()["rules"][0]["incident"]["key"]
    api.add_incident(key, 0, 5, 6)
    for event in api.events:
        event["incident_id"] = 1
    incident = ask(api, moment(5)).json()["rules"][0]["incident"]
    assert incident == {
        "id": 1,
        "key": key,
        "status": "open",
        "event_count": 6,
        "first_event_at": moment(0),
        "last_event_at": moment(5),
    }
    api.timelines[1] = [
        {"time": moment(6), "actor": "ann", "what": "status_changed", "to": "resolved"},
        {"time": moment(5), "actor": "system", "what": "opened", "to": "open"},
    ]
    assert ask(api, moment(7)).json()["rules"][0]["incident"] is None
    assert ask(api, moment(7)).json()["rules"][0]["count"] == 0


def test_an_incident_that_is_older_than_the_look_back_is_taken_whole(api: FakeQueryApi) -> None:
    """Else its middle would look like a beginning: another key, another count."""
    seconds = range(0, 3 * 3600, 600)
    for second in (0, 1, 2, 3, *seconds):
        api.add(second)
    last = max(seconds)
    whole = {"event_count": 4 + len(seconds), "first_event_at": moment(0), "last_event_at": moment(last)}
    api.add_incident("k", 0, last, 4 + len(seconds))
    found = ask(api, moment(last)).json()
    assert found["since"] == moment(-900)
    incident = found["rules"][0]["incident"]
    assert {name: incident[name] for name in whole} == whole


@pytest.mark.parametrize(
    ("most", "looked_at", "cut"), [(2_000, 2_000, True), (2_500, 2_500, False), (9_000, 2_500, False)]
)
def test_only_the_newest_events_are_looked_at(
    most: int,
    looked_at: int,
    cut: bool,  # noqa: FBT001 - a column of the table
    api: FakeQueryApi,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And the answer says when older ones were left out."""
    monkeypatch.setattr(source, "MAX_EVENTS", most)
    for number in range(2_500):
        api.add(number / 1000)
    found = ask(api, moment(10)).json()
    assert (found["events"], found["cut"]) == (looked_at, cut)


def test_an_unknown_service_is_a_404(api: FakeQueryApi) -> None:
    """With the query API's sentence."""
    answer = ask(api)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert answer.json()["detail"] == f"No event of service {SERVICE} is known"


@pytest.mark.parametrize("at", ["yesterday", "2024-01-01T00:00:00", "0001-01-01T00:00:00+14:00"])
def test_a_bad_time_is_a_422(at: str, api: FakeQueryApi) -> None:
    """No time at all, without an offset, or outside of what can be told."""
    answer = ask(api, at)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert answer.json()["errors"][0]["field"] == "at"
    assert api.asked == []


@pytest.mark.parametrize("at", ["2023-11-14T23:13:20 01:00", "9999-12-31T23:59:59.999999Z", "0001-01-01T00:00:00Z"])
def test_unusual_times_are_taken(at: str, api: FakeQueryApi) -> None:
    """An offset whose + has become a space, and the ends of the calendar."""
    api.add(0)
    assert ask(api, at).status_code == 200


def _refusal() -> httpx.Response:
    return httpx.Response(503, json={"detail": "The view is not there"})


def _nonsense() -> httpx.Response:
    return httpx.Response(200, text="<html>")


def _silence() -> httpx.Response:
    raise httpx.ConnectError("refused")


@pytest.mark.parametrize(
    ("fault", "said"), [(_refusal, "The view is not there"), (_nonsense, "cannot be read"), (_silence, "refused")]
)
def test_without_the_query_api_it_is_a_503(fault: Callable[[], httpx.Response], said: str, api: FakeQueryApi) -> None:
    """It says why and when to try again."""
    api.fault = fault
    answer = ask(api)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert said in answer.json()["detail"]


def test_the_rules_are_those_of_the_files(api: FakeQueryApi, tmp_path: Path) -> None:
    """As they are now; while they cannot be used, the last good ones, or, without any, a 503 with the fault."""
    file = tmp_path / "rules.yaml"
    rule = "rules:\n- {name: mine, kind: count, window: 1m, threshold: %s}\n"
    settings = load_settings(_env_file=None, rules=file)
    api.add(0)
    file.write_text(rule % "none")
    answer = ask(api, moment(0), settings)
    assert answer.status_code == 503
    assert f"{file}:2:52: rules[0].threshold" in answer.json()["detail"]

    with TestClient(create_app(settings, httpx.MockTransport(api))) as client:
        told = []
        for threshold in ("3", "4", "none"):
            file.write_text(rule % threshold)
            [found] = client.get(f"/api/v1/services/{SERVICE}/explain", params={"at": moment(0)}).json()["rules"]
            told.append((found["rule"], found["threshold"]))
    assert told == [("mine", 3), ("mine", 4), ("mine", 4)]
