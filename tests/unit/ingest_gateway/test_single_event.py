"""POST /api/v1/events: every rule of a field, and what the answer holds."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.unit.ingest_gateway.gateway_client import EVENT, Gateway


def _ahead(**amount: float) -> str:
    return (datetime.now(UTC) + timedelta(**amount)).isoformat()


def test_an_event_is_written_and_answered_in_its_one_form(gateway: Gateway) -> None:
    """Service trimmed, level folded, time in UTC, no incident yet."""
    answer = gateway.send_event(
        service="  user-service ", level="warn", timestamp="2023-01-29T10:42:22.5+02:00", id="7"
    )
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {
        "id": "7",
        "service": "user-service",
        "level": "WARNING",
        "message": "pool exhausted",
        "timestamp": "2023-01-29T08:42:22.500000Z",
        "incident_id": None,
    }
    (written,) = gateway.written
    assert written == {name: value for name, value in answer.json().items() if name != "incident_id"}


def test_what_is_left_out_is_filled_in(gateway: Gateway) -> None:
    """A new UUIDv7 and the time of receipt."""
    before = datetime.now(UTC)
    answer = gateway.send_event().json()
    assert UUID(answer["id"]).version == 7
    assert before <= datetime.fromisoformat(answer["timestamp"]) <= datetime.now(UTC)


def test_two_events_without_an_id_are_two_events(gateway: Gateway) -> None:
    """Equal log lines are counted one by one."""
    assert gateway.send_event().json()["id"] != gateway.send_event().json()["id"]


def test_every_optional_field_reaches_the_log(gateway: Gateway) -> None:
    """And nothing that the contract does not know."""
    optional = {
        "attributes": {"a": "b", "n": 1, "f": 0.5, "t": True, "big": 10**30},
        "trace_id": "t",
        "span_id": "s",
        "host": "h",
        "environment": "e",
    }
    assert gateway.send_event(**optional, unknown={"deep": [1]}).status_code == 201
    (written,) = gateway.written
    assert {name: written[name] for name in optional} == optional
    assert "unknown" not in written


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("service", "x"),
        ("service", "x" * 100),
        ("service", " " * 50 + "x" * 100 + " " * 50),
        ("service", "サービス"),
        ("level", "fatal"),
        ("level", "Notice"),
        ("level", "PANIC"),
        ("message", "x"),
        ("message", "\U0001f525" * 32_768),
        ("message", "nul \x00 byte"),
        ("message", " "),
        ("timestamp", "1969-12-31T23:59:59Z"),
        ("timestamp", "2023-01-29t08:42:22z"),
        ("timestamp", "2023-01-29T08:42:22.123456789Z"),
        ("timestamp", "2016-12-31T23:59:60Z"),
        ("timestamp", "0001-01-01T00:00:00Z"),
        ("id", "x" * 64),
        ("id", "\n"),
        ("attributes", {}),
        ("attributes", {f"k{index}": index for index in range(64)}),
        ("trace_id", ""),
    ],
)
def test_a_value_within_the_rules_is_taken(gateway: Gateway, field: str, value: Any) -> None:
    """The edges of each rule, from inside."""
    answer = gateway.send_event(**{field: value})
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("service", ""),
        ("service", " \t "),
        ("service", "x" * 101),
        ("service", 5),
        ("level", ""),
        ("level", "LOUD"),
        ("level", 3),
        ("message", ""),
        ("message", "x" * 32_769),
        ("message", ["x"]),
        ("timestamp", "yesterday"),
        ("timestamp", "2023-01-29T08:42:22"),
        ("timestamp", "2023-01-29"),
        ("timestamp", "2023-02-30T00:00:00Z"),
        ("timestamp", "2023-01-29T08:42:60Z"),
        ("timestamp", "0001-01-01T00:00:00+01:00"),
        ("timestamp", "9999-12-31T23:59:59-23:59"),
        ("timestamp", 1_675_000_000),
        ("id", ""),
        ("id", "x" * 65),
        ("id", 7),
        ("attributes", {f"k{index}": index for index in range(65)}),
        ("attributes", {"nested": {}}),
        ("attributes", {"list": []}),
        ("attributes", {"null": None}),
        ("attributes", "flat"),
        ("trace_id", 1),
        ("span_id", 1),
        ("host", {}),
        ("environment", []),
    ],
)
def test_a_value_outside_the_rules_is_named(gateway: Gateway, field: str, value: Any) -> None:
    """422 with the field, and nothing is written."""
    answer = gateway.send_event(**{field: value})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert field in answer.json()["detail"]
    assert not gateway.written


@pytest.mark.parametrize("field", ["service", "level", "message"])
@pytest.mark.parametrize("absence", ["left out", "null"])
def test_what_is_required_is_required(gateway: Gateway, field: str, absence: str) -> None:
    """Null is no value."""
    body = {name: value for name, value in EVENT.items() if name != field}
    if absence == "null":
        body |= {field: None}
    answer = gateway.send(json.dumps(body).encode())
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_all_broken_fields_are_named_at_once(gateway: Gateway) -> None:
    """Nobody should have to send an event five times to learn five mistakes."""
    answer = gateway.send(b'{"level": "LOUD", "message": "", "timestamp": "now", "id": 1}')
    assert {error["field"] for error in answer.json()["errors"]} == {"service", "level", "message", "timestamp", "id"}


def test_null_is_as_good_as_absent_where_a_field_is_optional(gateway: Gateway) -> None:
    """Some serializers write every field."""
    names = ("timestamp", "id", "attributes", "trace_id", "span_id", "host", "environment")
    assert gateway.send(json.dumps(EVENT | dict.fromkeys(names)).encode()).status_code == 201


def test_the_future_ends_five_minutes_from_now(gateway: Gateway) -> None:
    """A little skew between clocks is borne; more would close everybody's windows."""
    assert gateway.send_event(timestamp=_ahead(minutes=4, seconds=55)).status_code == 201
    refused = gateway.send_event(timestamp=_ahead(minutes=5, seconds=5))
    assert refused.status_code == 422
    assert "clock" in refused.json()["detail"]


@pytest.mark.parametrize("body", [b"[]", b"5", b'"text"', b"null", b"[" + json.dumps(EVENT).encode() + b"]"])
def test_anything_but_an_object_is_no_event(gateway: Gateway, body: bytes) -> None:
    """Valid JSON, so 422 and not 400."""
    assert gateway.send(body).status_code == 422


def test_of_a_key_that_stands_twice_the_last_counts(gateway: Gateway) -> None:
    """As in every common parser; the other way round two readers of one event would disagree."""
    body = b'{"service": 5, "service": "b", "level": "INFO", "message": "first", "message": "last"}'
    answer = gateway.send(body)
    assert answer.status_code == 201
    assert (answer.json()["service"], answer.json()["message"]) == ("b", "last")


def test_an_event_larger_than_a_record_is_refused(gateway: Gateway) -> None:
    """Its attributes have no length of their own."""
    answer = gateway.send_event(attributes={"dump": "x" * (2 * 1024 * 1024)})
    assert answer.status_code == 413
    assert "record" in answer.json()["detail"]
    assert not gateway.written


def test_an_event_just_within_a_record_is_written(gateway: Gateway) -> None:
    """The bound leaves room for the key and for the headers of a dead letter, no more."""
    assert gateway.send_event(attributes={"dump": "x" * (2 * 1024 * 1024 - 17_000)}).status_code == 201
