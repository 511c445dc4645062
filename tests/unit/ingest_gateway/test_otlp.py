"""OTLP/HTTP logs: the same events as over the gateway's own routes, answered as the protocol says."""

import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf import json_format
from google.rpc.status_pb2 import Status
from httpx2 import Response
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse

from ingest_gateway import refusal
from ingest_gateway.event_log import NotWritten
from ingest_gateway.formats.otlp import decode_json, decode_protobuf, read_logs
from schemas.levels import Level
from tests.unit.ingest_gateway.gateway_client import JSON, Gateway

PROTOBUF = "application/x-protobuf"
NOW = 1_674_981_742_383_150
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def _record(**fields: Any) -> dict[str, Any]:
    return {"timeUnixNano": f"{NOW}000", "severityNumber": 17, "body": {"stringValue": "pool exhausted"}} | fields


def _request(*records: dict[str, Any], **resource: str) -> dict[str, Any]:
    names = {"service_name": "checkout"} | resource
    attributes = [{"key": name.replace("_", "."), "value": {"stringValue": value}} for name, value in names.items()]
    return {"resourceLogs": [{"resource": {"attributes": attributes}, "scopeLogs": [{"logRecords": list(records)}]}]}


def _post(gateway: Gateway, body: bytes, media_type: str = JSON, **headers: str) -> Response:
    return gateway.client.post("/v1/logs", content=body, headers={"content-type": media_type} | headers)


def _post_json(gateway: Gateway, *records: dict[str, Any], **resource: str) -> Response:
    return _post(gateway, json.dumps(_request(*records, **resource)).encode())


def test_a_record_becomes_an_event_with_all_that_it_tells(gateway: Gateway) -> None:
    """Service, host and environment from the resource; time, severity, ids and attributes from the record."""
    count = {"key": "count", "value": {"intValue": "3"}}
    answer = _post_json(
        gateway,
        _record(traceId=TRACE, spanId=SPAN, attributes=[count]),
        host_name="web-3",
        deployment_environment_name="production",
        service_version="1.2",
    )
    assert (answer.status_code, answer.json()) == (200, {})
    (event,) = gateway.written
    assert event.pop("id")
    assert event == {
        "service": "checkout",
        "level": "ERROR",
        "message": "pool exhausted",
        "timestamp": "2023-01-29T08:42:22.383150Z",
        "attributes": {"count": 3, "service.version": "1.2"},
        "trace_id": TRACE,
        "span_id": SPAN,
        "host": "web-3",
        "environment": "production",
    }


def test_protobuf_and_json_of_one_request_give_the_same_events(gateway: Gateway) -> None:
    """But for their ids: hex ids of traces in JSON are the bytes of protobuf."""
    request = ExportLogsServiceRequest()
    json_format.ParseDict(_request(_record()), request)
    record = request.resource_logs[0].scope_logs[0].log_records[0]
    record.trace_id, record.span_id = bytes.fromhex(TRACE), bytes.fromhex(SPAN)
    answer = _post(gateway, request.SerializeToString(), PROTOBUF)
    assert answer.headers["content-type"] == PROTOBUF
    assert ExportLogsServiceResponse.FromString(answer.content) == ExportLogsServiceResponse()
    _post_json(gateway, _record(traceId=TRACE, spanId=SPAN))
    one, other = gateway.written
    assert one | {"id": ""} == other | {"id": ""}


def test_what_is_sent_again_counts_once(gateway: Gateway) -> None:
    """An exporter that got no answer sends the same bytes: its records have the same ids."""
    for _ in range(2):
        _post_json(gateway, _record(), _record())
    ids = [event["id"] for event in gateway.written]
    assert ids[:2] == ids[2:]
    assert ids[0] != ids[1]


def test_records_that_tell_no_time_are_new_events_each_time(gateway: Gateway) -> None:
    """Two equal requests may be two errors."""
    for _ in range(2):
        _post_json(gateway, _record(timeUnixNano="0"))
    one, other = gateway.written
    assert one["id"] != other["id"]


def test_a_gzip_body_is_read(gateway: Gateway) -> None:
    """As exporters send it with compression on."""
    body = gzip.compress(json.dumps(_request(_record())).encode())
    assert _post(gateway, body, **{"content-encoding": "gzip"}).status_code == 200
    assert len(gateway.written) == 1


def test_records_that_break_a_rule_are_a_partial_success(gateway: Gateway) -> None:
    """The others are written; 200, so that the sender does not send them again."""
    answer = _post_json(gateway, _record(), _record(timeUnixNano="4102444800000000000"))
    assert answer.status_code == 200
    partial = answer.json()["partialSuccess"]
    assert partial["rejectedLogRecords"] == "1"
    assert partial["errorMessage"].startswith("record 1: timestamp lies more than 5 minutes in the future")
    assert len(gateway.written) == 1


@pytest.mark.parametrize("media_type", [JSON, PROTOBUF])
def test_a_body_that_cannot_be_read_is_a_status_of_400(gateway: Gateway, media_type: str) -> None:
    """In the form of the request; 400 is never sent again."""
    answer = _post(gateway, b"\xff\xff\xff", media_type)
    assert (answer.status_code, answer.headers["content-type"]) == (400, media_type)
    status = json_format.Parse(answer.text, Status()) if media_type == JSON else Status.FromString(answer.content)
    assert status.code == 3
    assert "no ExportLogsServiceRequest" in status.message


def test_another_media_type_is_415(gateway: Gateway) -> None:
    """And says what is read."""
    answer = _post(gateway, b"x", "text/plain")
    assert answer.status_code == 415
    assert "application/x-protobuf" in answer.json()["detail"]


def test_a_broker_that_is_away_is_a_503_to_be_tried_again(gateway: Gateway) -> None:
    """With Retry-After: one of the codes on which exporters try again."""
    gateway.log.failure = NotWritten("the broker cannot be reached")
    answer = _post_json(gateway, _record())
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert answer.json()["code"] == 14


@pytest.mark.parametrize(
    ("number", "text", "level"),
    [
        (1, "", "DEBUG"), (5, "", "DEBUG"), (9, "", "INFO"), (12, "", "INFO"), (13, "", "WARNING"), (17, "", "ERROR"),
        (20, "", "ERROR"), (21, "", "FATAL"), (24, "FATAL", "FATAL"), (21, "CRITICAL", "CRITICAL"),
        (0, "warn", "WARNING"), (0, "", "INFO"), (99, "", "INFO"), (9, "CRITICAL", "INFO"),
    ],
)  # fmt: skip
def test_severity_is_the_number_s_band(number: int, text: str, level: Level) -> None:
    """The text where there is no number; CRITICAL, which OTLP has no band for, stays CRITICAL."""
    request = decode_json(json.dumps(_request(_record(severityNumber=number, severityText=text))).encode())
    assert read_logs(request, str, NOW).accepted[0].level == level


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"body": {"kvlistValue": {"values": [{"key": "a", "value": {"intValue": 1}}]}}}, '{"a":1}'),
        ({"body": {"arrayValue": {"values": [{"boolValue": True}, {"doubleValue": 0.5}]}}}, "[true,0.5]"),
        ({"body": {}, "eventName": "device.crash"}, "device.crash"),
        ({"body": {}, "attributes": [{"key": "exception.message", "value": {"stringValue": "boom"}}]}, "boom"),
        ({"body": {"stringValue": " "}}, "(no body)"),
    ],
)
def test_a_body_that_is_no_text_becomes_one(fields: dict[str, Any], message: str) -> None:
    """Structures as JSON, nothing as what else the record says."""
    request = decode_json(json.dumps(_request(_record(**fields))).encode())
    assert read_logs(request, str, NOW).accepted[0].message == message


def test_a_service_without_a_name_has_the_name_that_the_conventions_give_it() -> None:
    """unknown_service."""
    request = decode_json(json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [_record()]}]}]}).encode())
    assert read_logs(request, str, NOW).accepted[0].service == "unknown_service"


def test_a_long_message_is_cut_and_says_so() -> None:
    """It costs no event."""
    request = decode_json(json.dumps(_request(_record(body={"stringValue": "x" * 50_000}))).encode())
    message = read_logs(request, str, NOW).accepted[0].message
    assert len(message) == 32_768
    assert message.endswith("(cut)")


def _status(decode: Callable[[bytes], ExportLogsServiceRequest], body: bytes) -> int:
    try:
        read_logs(decode(body), str, NOW)
    except refusal.Refusal as refused:
        return refused.status
    return 200


@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_be_refused(body: bytes) -> None:
    """Whatever a sender sends as protobuf or JSON."""
    for decode in (decode_protobuf, decode_json):
        assert _status(decode, body) in (200, 400)


_any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.lists(
        st.dictionaries(st.sampled_from(["body", "traceId", "attributes", "timeUnixNano", "x"]), _any_json), max_size=3
    )
)
def test_no_json_does_more_than_be_refused(records: list[Any]) -> None:
    """Values of any type where others belong."""
    assert _status(decode_json, json.dumps(_request(*records)).encode()) in (200, 400)
