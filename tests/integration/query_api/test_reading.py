"""Reading incidents and events over HTTP, from a real PostgreSQL."""

import re
from typing import Any

import httpx2
import pytest

from runtime.settings import load_settings
from schemas.incident import AttachedEvent
from schemas.timestamps import MICROSECONDS, to_rfc3339
from tests.integration.query_api.conftest import Serve
from tests.unit.query_api.view_records import START, Fill, Log, analysis, event, incident

INCIDENTS = "/api/v1/incidents"
EVENTS = "/api/v1/events"
DAY = 86_400 * MICROSECONDS


@pytest.fixture
async def four(fill: Fill) -> None:
    """Three incidents on three days, and one that was merged into the first."""
    log = Log()
    log.incidents(
        incident("k1", created_at=START),
        incident("k2", created_at=START + DAY, service="cart", status="resolved", event_count=9, previous_key="k1"),
        incident("k3", created_at=START + 2 * DAY, service="user-service", severity_floor="P1"),
        incident("k4", created_at=START + 3 * DAY, merged_into="k1"),
        incident("k5", created_at=START + 4 * DAY, rule="on-trial", shadow=True),
    )
    log.analyses(analysis("k2", summary="The disk is 100% full.", category="disk_issue"))
    log.events(*(event(number) for number in range(7)), event(3, service="cart", id="other", level="INFO"))
    log.links("k5", AttachedEvent(6, 0, START + 6 * MICROSECONDS))
    log.links("k1", *(AttachedEvent(number, 0, START + number * MICROSECONDS) for number in range(5)))
    await fill(log)


async def _ids(api: httpx2.AsyncClient, query: str) -> list[Any]:
    answer = await api.get(f"{INCIDENTS}?{query}")
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()]


@pytest.mark.usefixtures("four")
async def test_list_is_a_bare_array_newest_first(api: httpx2.AsyncClient) -> None:
    """Merged incidents and those of rules on trial are not in it, nor in the total."""
    answer = await api.get(INCIDENTS)

    assert [item["key"] for item in answer.json()] == ["k3", "k2", "k1"]
    assert answer.headers["x-total-count"] == "3"
    assert "link" not in answer.headers


@pytest.mark.usefixtures("four")
@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("status_filter=open", [3, 1]),
        ("status_filter=", [3, 2, 1]),
        ("shadow=true", [5]),
        ("shadow=false&status_filter=open", [3, 1]),
        ("service=cart", [2]),
        ("service=car%00", []),
        ("severity=P1", [3]),
        ("category=disk_issue", [2]),
        ("since=2023-11-15T22:13:20Z", [3, 2]),
        ("until=2023-11-15T22:13:20Z", [1]),
        ("since=2023-11-15T23:13:20+01:00&until=2023-11-16T22:13:20.000001Z", [3, 2]),
        ("q=100%25 FULL", [2]),
        ("q=user-", [3]),
        ("q=disk_issue", [2]),
        ("q=_", [2]),
        ("q=%25", [2]),
        ("sort=created_at", [1, 2, 3]),
        ("sort=-event_count", [2, 3, 1]),
        ("sort=severity", [3, 2, 1]),
        ("sort=id", [1, 2, 3]),
        ("skip=1&limit=1", [2]),
        ("skip=100000000", []),
    ],
)
async def test_filters(api: httpx2.AsyncClient, query: str, ids: list[int]) -> None:
    """Each parameter narrows or orders the list; empty ones do nothing, wildcards are text."""
    assert await _ids(api, query) == ids


@pytest.mark.usefixtures("four")
async def test_pages_link_to_each_other(api: httpx2.AsyncClient) -> None:
    """Following `next` from the first page shows every incident once."""
    seen, url = [], f"{INCIDENTS}?limit=1&q=service"
    while url:
        answer = await api.get(url)
        seen += [item["id"] for item in answer.json()]
        url = answer.links.get("next", {}).get("url", "")

    assert seen == await _ids(api, "q=service")


@pytest.mark.usefixtures("four")
async def test_detail_has_everything(api: httpx2.AsyncClient) -> None:
    """Events newest first, the timeline, the analysis, and the incident before."""
    first = (await api.get(f"{INCIDENTS}/1")).json()
    second = (await api.get(f"{INCIDENTS}/2")).json()

    assert [(item["id"], item["incident_id"]) for item in first["events"]] == [(f"e{n}", 1) for n in (4, 3, 2, 1, 0)]
    assert first["timeline"][0] == {
        "time": "2023-11-14T22:13:20.000000Z", "actor": "system", "what": "opened", "from": None, "to": "open",
        "note": None, "reason": "5 events of checkout within 300 s",
    }  # fmt: skip
    assert (first["analysis"], first["previous_incident_id"]) == (None, None)
    assert (second["analysis"]["category"], second["previous_incident_id"]) == ("disk_issue", 1)


@pytest.mark.usefixtures("four")
async def test_an_incident_of_a_rule_on_trial_is_marked_and_holds_no_event_of_others(api: httpx2.AsyncClient) -> None:
    """Its events are found through it; elsewhere they stand under no incident, and no service counts it as active."""
    detail = (await api.get(f"{INCIDENTS}/5")).json()
    assert (detail["shadow"], detail["verdict"], [one["id"] for one in detail["events"]]) == (True, None, ["e6"])
    assert (await api.get(f"{EVENTS}/e6")).json()["incident_id"] is None
    assert (await api.get(f"{INCIDENTS}/counts")).json()["total"] == 3
    [checkout] = [one for one in (await api.get("/api/v1/services")).json() if one["service"] == "checkout"]
    assert [one["id"] for one in checkout["active_incidents"]] == [1]


@pytest.mark.usefixtures("four")
async def test_the_feed_has_what_the_list_has_and_says_when_nothing_changed(api: httpx2.AsyncClient) -> None:
    """Under the same filters, newest first; 304 to a reader that has it."""
    listed = (await api.get(INCIDENTS, params={"service": "checkout"})).json()
    feed = await api.get(f"{INCIDENTS}/feed", params={"service": "checkout"})
    again = await api.get(
        f"{INCIDENTS}/feed", params={"service": "checkout"}, headers={"If-None-Match": feed.headers["etag"]}
    )
    assert listed
    assert re.findall("<id>urn:ops-assist:incident:(.*?)</id>", feed.text) == [one["key"] for one in listed]
    assert (feed.headers["content-type"], again.status_code) == ("application/atom+xml", 304)


@pytest.mark.usefixtures("four")
async def test_merged_incident_says_where_it_went(api: httpx2.AsyncClient) -> None:
    """It is reachable by its id, but its status is no longer anybody's to change."""
    answer = await api.get(f"{INCIDENTS}/4")
    change = await api.patch(f"{INCIDENTS}/4/status", json={"status": "closed"})

    assert answer.json()["merged_into"] == 1
    assert (change.status_code, change.json()["detail"]) == (
        409,
        "The incident was merged into 1; work on that one instead",
    )


@pytest.mark.parametrize("number", ["0", "-1", "42", "2147483648", "99999999999999999999"])
@pytest.mark.parametrize("method", ["GET", "PATCH", "POST"])
async def test_unknown_incident_is_404(api: httpx2.AsyncClient, method: str, number: str) -> None:
    """Whatever the number, on every route."""
    path = {"GET": "", "PATCH": "/status", "POST": "/analyze"}[method]

    answer = await api.request(method, f"{INCIDENTS}/{number}{path}", json={"status": "open"})

    assert (answer.status_code, answer.json()["detail"]) == (404, f"There is no incident {number}")


@pytest.mark.usefixtures("four")
@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("service=cart", ["other"]),
        ("level=warn", []),
        ("level=info", ["other"]),
        ("incident_id=1", ["e4", "e3", "e2", "e1", "e0"]),
        ("incident_id=1&skip=1&limit=2", ["e3", "e2"]),
        ("incident_id=1&until=2023-11-14T22:13:21Z", ["e0"]),
        ("incident_id=42", []),
        ("incident_id=99999999999999999999", []),
        ("service=checkout&limit=2", ["e6", "e5"]),
        ("since=2023-11-14T22:13:25Z", ["e6", "e5"]),
    ],
)
async def test_event_filters(api: httpx2.AsyncClient, query: str, ids: list[str]) -> None:
    """Newest first by event time, narrowed by each parameter."""
    answer = await api.get(f"{EVENTS}?{query}")

    assert [item["id"] for item in answer.json()] == ids


@pytest.mark.usefixtures("four")
async def test_event_pages(api: httpx2.AsyncClient) -> None:
    """The next page is linked where there is one."""
    first = await api.get(f"{EVENTS}?limit=5")
    last = await api.get(first.links["next"]["url"])

    assert (len(first.json()), len(last.json())) == (5, 3)
    assert "next" not in last.links


@pytest.mark.usefixtures("four")
async def test_one_event(api: httpx2.AsyncClient) -> None:
    """With the incident that took it in, or null."""
    taken = (await api.get(f"{EVENTS}/e0")).json()
    free = (await api.get(f"{EVENTS}/e6")).json()

    assert taken == {
        "id": "e0", "service": "checkout", "level": "ERROR", "message": "pool exhausted, number 0",
        "timestamp": "2023-11-14T22:13:20.000000Z", "incident_id": 1,
    }  # fmt: skip
    assert free["incident_id"] is None
    assert (await api.get(f"{EVENTS}/none%00")).status_code == 404


async def test_without_database_the_api_says_so(serve: Serve) -> None:
    """The app starts, /readyz names what is missing, and routes answer 503 with Retry-After."""
    api = await serve(
        load_settings(
            _env_file=None, database_url="postgresql://x@127.0.0.1:1/x", kafka_bootstrap_servers="127.0.0.1:1"
        )
    )

    ready = await api.get("/readyz")
    answers = [await api.get(path) for path in (INCIDENTS, f"{INCIDENTS}/1", EVENTS, f"{INCIDENTS}/stream")]

    assert (await api.get("/health")).status_code == 200
    assert (ready.status_code, set(ready.json()["reasons"])) == (503, {"postgresql", "kafka"})
    assert {(answer.status_code, answer.headers["retry-after"]) for answer in answers} == {(503, "5")}
    assert all("database cannot be reached" in answer.json()["detail"] for answer in answers)


async def test_without_schema_the_api_says_what_to_run(database_url: str, serve: Serve) -> None:
    """A database that was never migrated is no 500."""
    api = await serve(load_settings(_env_file=None, database_url=database_url, kafka_bootstrap_servers="127.0.0.1:1"))

    answer = await api.get(INCIDENTS)

    assert answer.status_code == 503
    assert "python -m query_api.migrate" in answer.json()["detail"]


async def test_events_of_a_service_with_their_places(api: httpx2.AsyncClient, fill: Fill) -> None:
    """What the detection has seen: attributes, place in the log and time of receipt, newest first."""
    log = Log()
    log.events(event(0, service="team/one", attributes={"region": "eu-1"}), event(1, service="team/one"))
    log.events(*(event(number) for number in range(7)))
    await fill(log)
    answer = await api.get("/api/v1/services/team%2Fone/events", params={"since": "2023-11-14T22:13:20Z"})
    assert answer.status_code == 200, answer.text
    newest, oldest = answer.json()
    assert (newest["id"], newest["attributes"]) == ("e1", None)
    assert oldest == {
        "id": "e0",
        "level": "ERROR",
        "message": "pool exhausted, number 0",
        "timestamp": "2023-11-14T22:13:20.000000Z",
        "attributes": {"region": "eu-1"},
        "partition": 0,
        "offset": 0,
        "index": 0,
        "received_at": to_rfc3339(START),
        "incident_id": None,
    }
    assert len((await api.get("/api/v1/services/checkout/events?limit=3&skip=5")).json()) == 2
    assert (await api.get("/api/v1/services/checkout/events?until=2023-11-14T22:13:20Z")).json() == []


@pytest.mark.usefixtures("four")
async def test_a_service_that_never_sent_anything_is_not_found(api: httpx2.AsyncClient) -> None:
    """Which is told from one that is silent in the time asked about."""
    answer = await api.get("/api/v1/services/nobody/events")
    assert (answer.status_code, answer.json()["detail"]) == (404, "No event of service nobody is known")


async def test_an_event_stands_under_an_incident_of_each_rule(api: httpx2.AsyncClient, fill: Fill) -> None:
    """Whichever was told first, and told again; elsewhere the event names the first of them."""
    log = Log()
    log.events(event(1))
    log.incidents(incident("a"), incident("b", rule="timeouts"))
    for key in ("b", "a"):
        log.links(key, AttachedEvent(0, 0, START))
    await fill(log)

    ids = {item["key"]: item["id"] for item in (await api.get(INCIDENTS)).json()}
    under = [(await api.get(f"{EVENTS}?incident_id={ids[key]}")).json() for key in ("a", "b")]
    assert [[found["id"] for found in events] for events in under] == [["e1"], ["e1"]]
    assert [found["incident_id"] for found in (await api.get(EVENTS)).json()] == [min(ids.values())]
