"""CloudEvents 1.0 over HTTP: structured, binary and batched give the same events."""

import base64
import json
from typing import Any

import pytest
from httpx2 import Response

from tests.unit.ingest_gateway.gateway_client import Gateway

STRUCTURED = "application/cloudevents+json"
BATCHED = "application/cloudevents-batch+json"
DATA: dict[str, Any] = {"level": "ERROR", "message": "payment timed out", "order": 17}
EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "A234",
    "source": "/shops/checkout",
    "type": "com.example.failed",
    "time": "2023-01-29T08:42:22.383Z",
    "data": DATA,
}


def _post(gateway: Gateway, body: bytes, **headers: str) -> Response:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return gateway.client.post("/api/v1/ingest/cloudevents", content=body, headers=sent)


def _send(gateway: Gateway, **changes: Any) -> Response:
    event = {name: value for name, value in (EVENT | changes).items() if value is not None}
    return _post(gateway, json.dumps(event).encode(), content_type=STRUCTURED)


def test_a_structured_event_is_an_event_of_what_its_source_names(gateway: Gateway) -> None:
    """What `data` says goes first; the rest of it and the attributes are attributes."""
    assert _send(gateway).json() == {"accepted": 1, "rejected": []}
    (event,) = gateway.written
    assert (event["service"], event["level"], event["message"]) == ("checkout", "ERROR", "payment timed out")
    assert event["timestamp"] == "2023-01-29T08:42:22.383000Z"
    assert event["attributes"] == {
        "order": 17,
        "cloudevents.type": "com.example.failed",
        "cloudevents.source": "/shops/checkout",
        "cloudevents.id": "A234",
    }


def test_all_three_modes_give_the_same_event(gateway: Gateway) -> None:
    """With the same id, so that an event counts once however it is sent."""
    _send(gateway)
    _post(gateway, json.dumps([EVENT]).encode(), content_type=BATCHED)
    ce = {f"ce_{name}": value for name, value in EVENT.items() if name != "data"}
    _post(gateway, json.dumps(DATA).encode(), content_type="application/json", **ce)
    one, two, three = gateway.written
    assert one == two == three


def test_source_and_id_name_an_event(gateway: Gateway) -> None:
    """As the specification says: another source with the same id is another event."""
    _send(gateway)
    _send(gateway, data={"level": "ERROR", "message": "sent again"})
    _send(gateway, source="/shops/other")
    one, again, other = (event["id"] for event in gateway.written)
    assert one == again != other


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": "disk is full"}, "disk is full"),
        ({"data": None}, "com.example.failed"),
        ({"data": None, "subject": "order 17"}, "com.example.failed order 17"),
        ({"data": None, "data_base64": base64.b64encode(b"packed").decode()}, "packed"),
        ({"data": [1, 2]}, "[1,2]"),
    ],
)
def test_data_of_any_kind_makes_a_message(gateway: Gateway, changes: dict[str, Any], message: str) -> None:
    """And where there is none, the type and the subject do."""
    assert _send(gateway, **changes).status_code == 201
    (event,) = gateway.written
    assert (event["level"], event["message"]) == ("INFO", message)


def test_extensions_give_level_service_and_trace(gateway: Gateway) -> None:
    """For data that cannot be changed."""
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    _send(gateway, data="x", severity="critical", service="cart", traceparent=trace)
    (event,) = gateway.written
    assert (event["level"], event["service"]) == ("CRITICAL", "cart")
    assert (event["trace_id"], event["span_id"]) == ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")


def test_headers_of_binary_mode_may_be_percent_encoded(gateway: Gateway) -> None:
    """As the binding has it for what is not ASCII."""
    ce = {"ce_specversion": "1.0", "ce_id": "1", "ce_source": "/caf%C3%A9", "ce_type": "t"}
    assert _post(gateway, b"text", content_type="text/plain", **ce).status_code == 201
    assert gateway.written[0]["service"] == "caf\u00e9"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"id": None}, "id"),
        ({"source": ""}, "source"),
        ({"specversion": "0.3"}, "specversion"),
        ({"data": None, "data_base64": "%"}, "data_base64"),
        ({"time": "yesterday"}, "timestamp"),
        ({"data": {"level": "LOUD", "message": "x"}}, "level"),
    ],
)
def test_what_breaks_a_rule_is_refused_by_field(gateway: Gateway, changes: dict[str, Any], field: str) -> None:
    """422, and nothing is written."""
    answer = _send(gateway, **changes)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [f"0.{field}"]
    assert not gateway.written


def test_in_a_batch_each_event_is_judged_by_itself(gateway: Gateway) -> None:
    """207 names those that are rejected; an empty batch is taken."""
    answer = _post(gateway, json.dumps([EVENT, 5]).encode(), content_type=BATCHED)
    assert answer.status_code == 207
    assert [item["index"] for item in answer.json()["rejected"]] == [1]
    assert _post(gateway, b"[]", content_type=BATCHED).json() == {"accepted": 0, "rejected": []}


@pytest.mark.parametrize(
    ("body", "media_type", "status"),
    [(b"{", STRUCTURED, 400), (b"{}", BATCHED, 422), (b"{}", "application/json", 415), (b"[]", STRUCTURED, 422)],
)
def test_what_is_no_cloudevent_is_refused(gateway: Gateway, body: bytes, media_type: str, status: int) -> None:
    """With what to send instead."""
    answer = _post(gateway, body, content_type=media_type)
    assert answer.status_code == status
    assert "CloudEvent" in answer.text or status == 400
