"""Alertmanager's webhook: an alert that fires is one event that qualifies, however often it is told."""

import json
from typing import Any

import pytest
from httpx2 import Response

from ingest_gateway.formats.alertmanager import read_alerts
from tests.unit.ingest_gateway.gateway_client import JSON, Gateway

NOW = 1_674_981_800_000_000


def _alert(status: str = "firing", **labels: str) -> dict[str, Any]:
    return {
        "status": status,
        "labels": {"alertname": "HighErrorRate", "service": "checkout"} | labels,
        "annotations": {"summary": "5% of requests fail"},
        "startsAt": "2023-01-29T08:42:22.383Z",
        "endsAt": "0001-01-01T00:00:00Z" if status == "firing" else "2023-01-29T08:43:00Z",
        "generatorURL": "http://prometheus/graph",
        "fingerprint": "c0ffee",
    }


def _body(*alerts: dict[str, Any], version: str = "4") -> bytes:
    return json.dumps({"version": version, "groupKey": "{}", "status": "firing", "alerts": alerts}).encode()


def _post(gateway: Gateway, body: bytes, query: str = "") -> Response:
    return gateway.client.post(f"/api/v1/ingest/alertmanager{query}", content=body, headers={"content-type": JSON})


def test_an_alert_that_fires_is_an_error_of_its_service(gateway: Gateway) -> None:
    """At the time it began, with its labels and annotations as attributes."""
    answer = _post(gateway, _body(_alert(instance="web-3", env="production")))
    assert (answer.status_code, answer.json()) == (201, {"accepted": 1, "rejected": []})
    (event,) = gateway.written
    assert event["service"], event["level"] == ("checkout", "ERROR")
    assert event["message"] == "HighErrorRate fires: 5% of requests fail"
    assert event["timestamp"] == "2023-01-29T08:42:22.383000Z"
    assert (event["host"], event["environment"]) == ("web-3", "production")
    assert event["attributes"]["alertname"] == "HighErrorRate"
    assert event["attributes"]["annotation.summary"] == "5% of requests fail"


@pytest.mark.parametrize(("severity", "level"), [("critical", "CRITICAL"), ("page", "CRITICAL"), ("warning", "ERROR")])
def test_every_firing_alert_qualifies(severity: str, level: str) -> None:
    """A warning is an alert too."""
    assert read_alerts(_body(_alert(severity=severity)), None, NOW).accepted[0].level == level


def test_an_alert_that_is_resolved_is_told_and_does_not_count() -> None:
    """INFO, at the time it ended."""
    event = read_alerts(_body(_alert("resolved")), None, NOW).accepted[0]
    assert (event.level, event.message) == ("INFO", "HighErrorRate is resolved: 5% of requests fail")
    assert event.timestamp == 1_674_981_780_000_000


def test_an_alert_that_is_told_again_has_the_same_id() -> None:
    """With each change of its group and each repeat interval; another firing has another id."""

    def id_of(alert: dict[str, Any]) -> str:
        return read_alerts(_body(alert), None, NOW).accepted[0].id

    assert id_of(_alert()) == id_of(_alert())
    assert (
        len({id_of(_alert()), id_of(_alert("resolved")), id_of(_alert() | {"startsAt": "2023-01-29T08:43:00Z"})}) == 3
    )


@pytest.mark.parametrize(
    ("labels", "wanted", "service"),
    [
        ({"service": "a", "job": "b"}, None, "a"),
        ({"service": "", "job": "b"}, None, "b"),
        ({"service": "a", "team": "c"}, "team", "c"),
        ({"service": ""}, None, "alertmanager"),
    ],
)
def test_the_service_is_the_first_label_that_names_one(
    labels: dict[str, str], wanted: str | None, service: str
) -> None:
    """Or the one that the query asks for."""
    assert read_alerts(_body(_alert(**labels)), wanted, NOW).accepted[0].service == service


def test_the_label_of_the_service_is_a_parameter(gateway: Gateway) -> None:
    """?service_label=team."""
    _post(gateway, _body(_alert(team="payments")), "?service_label=team")
    assert gateway.written[0]["service"] == "payments"


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"{", 400, "not valid JSON"),
        (_body(version="3"), 422, "version 4"),
        (b"[]", 422, "version 4"),
        (_body({"status": "firing"}), 422, "labels"),
        (_body({**_alert(), "labels": {"a": 5}}), 422, "Expected `str`"),
    ],
)
def test_what_is_no_notification_is_refused_with_a_reason(
    gateway: Gateway, body: bytes, status: int, said: str
) -> None:
    """Alertmanager does not send 4xx again, and logs the answer."""
    answer = _post(gateway, body)
    assert answer.status_code == status
    assert said in answer.json()["detail"]


def test_a_group_without_alerts_is_taken(gateway: Gateway) -> None:
    """Nothing to write."""
    assert _post(gateway, _body()).json() == {"accepted": 0, "rejected": []}
