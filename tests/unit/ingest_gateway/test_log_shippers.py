"""Log shippers: records as Fluent Bit, Vector, Logstash, Filebeat and loggers write them become events."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_gateway import refusal
from ingest_gateway.formats.shippers import read_records
from schemas.event import Event
from schemas.timestamps import from_rfc3339
from tests.unit.ingest_gateway.gateway_client import JSON, NDJSON, Gateway

AT = "2023-01-29T08:42:22.383000Z"
NOW = from_rfc3339("2023-01-29T08:43:00Z")
PATH = "/api/v1/ingest/logs"

RECORDS: dict[str, dict[str, Any]] = {
    "Fluent Bit, output http, records of Kubernetes": {
        "date": 1674981742.383,
        "log": "pool exhausted",
        "level": "error",
        "kubernetes": {"container_name": "checkout", "host": "web-3", "namespace_name": "shop"},
    },
    "Fluent Bit with json_date_format epoch_ms": {
        "date": 1674981742383,
        "log": "pool exhausted",
        "severity": "ERR",
        "app": "checkout",
        "hostname": "web-3",
    },
    "Vector, sink http": {
        "timestamp": AT,
        "message": "pool exhausted",
        "host": "web-3",
        "source_type": "syslog",
        "appname": "checkout",
        "severity": "err",
    },
    "Logstash": {
        "@timestamp": AT,
        "@version": "1",
        "message": "pool exhausted",
        "level": "ERROR",
        "service": "checkout",
        "host": "web-3",
    },
    "Filebeat, Elastic Common Schema": {
        "@timestamp": AT,
        "message": "pool exhausted",
        "log": {"level": "error"},
        "service": {"name": "checkout"},
        "host": {"name": "web-3"},
    },
    "GELF": {
        "version": "1.1",
        "timestamp": 1674981742.383,
        "short_message": "pool exhausted",
        "level": 3,
        "host": "web-3",
        "service": "checkout",
    },
    "journald": {
        "MESSAGE": "pool exhausted",
        "PRIORITY": "3",
        "SYSLOG_IDENTIFIER": "checkout",
        "_HOSTNAME": "web-3",
        "time": AT,
    },
    "pino": {"level": 50, "time": 1674981742383, "msg": "pool exhausted", "hostname": "web-3", "app": "checkout"},
}


def _one(record: Any, service: str | None = None) -> Event:
    return read_records(json.dumps(record).encode(), service, str, NOW).accepted[0]


@pytest.mark.parametrize("sender", RECORDS)
def test_fields_are_found_under_the_sender_s_names(sender: str) -> None:
    """The same event, whoever ships it."""
    event = _one(RECORDS[sender])
    assert (event.service, event.level, event.message) == ("checkout", "ERROR", "pool exhausted")
    assert (event.timestamp, event.host) == (from_rfc3339(AT), "web-3")


def test_what_is_no_field_is_an_attribute() -> None:
    """Objects with dots, arrays as JSON."""
    event = _one({"message": "x", "http": {"status": 502, "path": "/"}, "tags": ["a"], "ok": True, "none": None})
    assert event.attributes == {"http.status": 502, "http.path": "/", "tags": '["a"]', "ok": True}


@pytest.mark.parametrize(
    ("said", "level"),
    [
        (0, "FATAL"), (2, "CRITICAL"), (3, "ERROR"), (4, "WARNING"), (6, "INFO"), (7, "DEBUG"), (50, "ERROR"),
        (60, "FATAL"), (35, "INFO"), ("warn", "WARNING"), ("Informational", "INFO"), ("E", "ERROR"), ("loud", "INFO"),
        ("crit", "CRITICAL"), (-1, "INFO"), (1e300, "INFO"), ("3", "ERROR"), (None, "INFO"),
    ],
)  # fmt: skip
def test_levels_are_words_or_numbers_of_syslog_and_pino(said: Any, level: str) -> None:
    """INFO where none can be read: nothing counts that did not say so."""
    assert _one({"message": "x", "level": said}).level == level


@pytest.mark.parametrize(
    "said",
    [AT, "2023-01-29T09:42:22.383+01:00", "2023-01-29 08:42:22,383", 1674981742.383, 1674981742383, 1674981742383000,
     1674981742383000000],
)  # fmt: skip
def test_times_are_texts_or_numbers_since_the_epoch(said: Any) -> None:
    """Seconds to nanoseconds by their size; a text without an offset is UTC."""
    assert _one({"message": "x", "time": said}).timestamp == from_rfc3339(AT)


def test_a_time_that_cannot_be_read_is_kept_as_an_attribute() -> None:
    """The time of receipt stands in for it."""
    event = _one({"message": "x", "time": "yesterday"})
    assert (event.timestamp, event.attributes) == (NOW, {"unread_timestamp": "yesterday"})


def test_a_record_without_a_service_gets_the_one_of_the_query(gateway: Gateway) -> None:
    """?service=checkout, for senders whose records cannot be changed."""
    for query in ("?service=checkout", ""):
        gateway.client.post(f"{PATH}{query}", content=b'{"log": "x"}', headers={"content-type": JSON})
    assert [event["service"] for event in gateway.written] == ["checkout", "unknown_service"]


def test_a_record_without_a_message_is_its_own() -> None:
    """All of it, as JSON."""
    assert _one({"status": 502}).message == '{"status":502}'


def test_arrays_lines_and_single_objects_are_read(gateway: Gateway) -> None:
    """Whatever the media type says; a broken line is rejected alone."""
    for body, media_type in (
        (b'[{"log": "a"}, {"log": "b"}]', JSON),
        (b'{"log": "a"}\n{"log": "b"}\n', NDJSON),
        (b'{"log": "a"}\n\n{"log": "b"}', JSON),
    ):
        answer = gateway.client.post(PATH, content=body, headers={"content-type": media_type})
        assert answer.json() == {"accepted": 2, "rejected": []}
    answer = gateway.client.post(PATH, content=b'{"log": "a"}\n{"log":\n5\n', headers={"content-type": NDJSON})
    assert answer.status_code == 207
    assert [item["index"] for item in answer.json()["rejected"]] == [1, 2]
    assert answer.json()["rejected"][0]["errors"][0]["message"] == "line 2 is not valid JSON"


@pytest.mark.parametrize("body", [b"", b" \n", b"["])
def test_a_body_without_records_is_400(gateway: Gateway, body: bytes) -> None:
    """A sender that sends nothing at all is set up wrongly."""
    assert gateway.client.post(PATH, content=body, headers={"content-type": JSON}).status_code == 400


_any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
_names = st.sampled_from(["message", "level", "time", "service", "host", "id", "trace_id", "x", "log"])


@given(st.lists(st.dictionaries(_names, _any_json) | _any_json, max_size=3))
def test_every_object_is_an_event_or_is_refused_with_a_reason(records: list[Any]) -> None:
    """Values of any type where others belong."""
    batch = read_records(json.dumps(records).encode(), None, str, NOW)
    assert batch.size == len(records)


@given(st.binary(max_size=100))
def test_no_bytes_do_more_than_be_refused(body: bytes) -> None:
    """Whatever a sender sends."""
    with suppress(refusal.Refusal):
        read_records(body, None, str, NOW)
