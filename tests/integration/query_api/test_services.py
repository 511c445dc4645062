"""Services, their rates and the counts of incidents, over HTTP from a real PostgreSQL."""

from typing import Any

import httpx2
import pytest

from tests.unit.query_api.view_records import Fill, Log, Rows, event, incident

SERVICES = "/api/v1/services"
SPAN = "since=2023-11-14T22:13:00Z&until=2023-11-14T22:17:00Z"


@pytest.fixture
async def three(fill: Fill) -> Log:
    """Three services: one quiet, one with two active incidents, one with a resolved one."""
    log = Log()
    log.events(*(event(number) for number in range(7)), event(8, timestamp="2023-11-14T22:14:00Z", level="INFO"))
    log.events(event(1, service="cart"), event(2, service="mail", timestamp="2023-11-14T22:17:00Z"))
    log.incidents(
        incident("k1", service="cart"),
        incident("k2", service="cart", rule="spike", severity_floor="P1", status="investigating"),
        incident("k3", service="checkout", status="resolved"),
        incident("k4", service="mail", merged_into="k1"),
    )
    await fill(log)
    return log


async def _get(api: httpx2.AsyncClient, query: str) -> Any:
    answer = await api.get(f"{SERVICES}?{query}")
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.usefixtures("three")
async def test_services_come_worst_first(api: httpx2.AsyncClient) -> None:
    """With their active incidents; merged and resolved ones are not active."""
    found = await _get(api, SPAN)

    assert [item["service"] for item in found] == ["cart", "checkout", "mail"]
    assert [(item["id"], item["severity"], item["status"]) for item in found[0]["active_incidents"]] == [
        (2, "P1", "investigating"),
        (1, "P3", "open"),
    ]
    assert found[1]["active_incidents"] == found[2]["active_incidents"] == []


@pytest.mark.usefixtures("three")
async def test_rates_are_by_minute_and_level(api: httpx2.AsyncClient) -> None:
    """The span's last minute is not in it, and the times are those of the oldest and newest event."""
    _, checkout, mail = await _get(api, SPAN)

    assert checkout["minutes"] == [
        {"minute": "2023-11-14T22:13:00.000000Z", "by_level": {"ERROR": 7}},
        {"minute": "2023-11-14T22:14:00.000000Z", "by_level": {"INFO": 1}},
    ]
    assert checkout["by_level"] == {"ERROR": 7, "INFO": 1}
    assert (checkout["first_event_at"], checkout["last_event_at"]) == (
        "2023-11-14T22:13:20.000000Z",
        "2023-11-14T22:14:00.000000Z",
    )
    assert (mail["minutes"], mail["by_level"]) == ([], {})


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("service=mail&service=cart", ["cart", "mail"]),
        ("service=", ["cart", "checkout", "mail"]),
        ("q=A", ["cart", "mail"]),
        ("q=%25", []),
        ("sort=service", ["cart", "checkout", "mail"]),
        ("sort=-last_event_at", ["mail", "checkout", "cart"]),
        ("skip=1&limit=1", ["checkout"]),
    ],
)
async def test_filters(api: httpx2.AsyncClient, query: str, names: list[str]) -> None:
    """Each parameter narrows or orders the list."""
    assert [item["service"] for item in await _get(api, query)] == names


@pytest.mark.usefixtures("three")
async def test_pages(api: httpx2.AsyncClient) -> None:
    """The total and the next page are in the headers."""
    answer = await api.get(f"{SERVICES}?limit=2")

    assert answer.headers["x-total-count"] == "3"
    assert [item["service"] for item in (await api.get(answer.links["next"]["url"])).json()] == ["mail"]


async def test_repeated_events_are_counted_once(api: httpx2.AsyncClient, fill: Fill, three: Log) -> None:
    """An id that comes again, in this batch or a later one, adds nothing; new events add to what is there."""
    three.events(event(0), event(30), event(30))
    await fill(three)

    (checkout,) = await _get(api, f"{SPAN}&service=checkout")

    assert checkout["by_level"] == {"ERROR": 8, "INFO": 1}


async def test_old_minutes_are_forgotten_and_services_stay(
    api: httpx2.AsyncClient, three: Log, store: Any, rows: Rows
) -> None:
    """Counts by minute are kept for days, the list of services for ever."""
    del three
    await store.keep_up(7)

    assert await rows("SELECT FROM service_minutes") == []
    assert len(await _get(api, "")) == 3


@pytest.mark.usefixtures("three")
async def test_incidents_are_counted_by_status_and_severity(api: httpx2.AsyncClient) -> None:
    """Merged ones are not counted; filters are those of the list."""
    counts = (await api.get("/api/v1/incidents/counts")).json()
    narrowed = (await api.get("/api/v1/incidents/counts?service=cart&severity=P1")).json()

    assert counts["total"] == 3
    assert counts["by_status"] == {
        "open": {"P1": 0, "P2": 0, "P3": 1},
        "investigating": {"P1": 1, "P2": 0, "P3": 0},
        "resolved": {"P1": 0, "P2": 0, "P3": 1},
        "closed": {"P1": 0, "P2": 0, "P3": 0},
    }
    assert (narrowed["total"], narrowed["by_status"]["investigating"]["P1"]) == (1, 1)
