"""POST /api/v1/events/batch: arrays and lines, what is accepted and what is rejected."""

import json
from typing import Any

import pytest

from schemas.placement import home_partition
from tests.unit.ingest_gateway.gateway_client import EVENT, NDJSON, Gateway, event

_LINE = json.dumps(EVENT).encode()


def _lines(gateway: Gateway, *lines: bytes, end: bytes = b"\n") -> Any:
    return gateway.send(end.join(lines), to="/batch", media_type=NDJSON)


def test_a_batch_of_good_events_is_201(gateway: Gateway) -> None:
    """With how many were written."""
    answer = gateway.send_batch(*(event(id=str(index)) for index in range(3)))
    assert (answer.status_code, answer.json()) == (201, {"accepted": 3, "rejected": []})
    assert [written["id"] for written in gateway.written] == ["0", "1", "2"]


def test_a_batch_with_a_bad_event_is_207_and_the_others_are_written(gateway: Gateway) -> None:
    """The bad one by its index, field by field."""
    answer = gateway.send_batch(event(id="0"), event(level="LOUD"), 5, event(id="3"))
    assert answer.status_code == 207
    assert answer.json()["accepted"] == 2
    assert [(item["index"], item["errors"][0]["field"]) for item in answer.json()["rejected"]] == [
        (1, "level"),
        (2, ""),
    ]
    assert [written["id"] for written in gateway.written] == ["0", "3"]


@pytest.mark.parametrize("bad", [{"level": "LOUD"}, {"timestamp": "2999-01-01T00:00:00Z"}, {"message": 5}])
def test_a_batch_of_bad_events_is_422(gateway: Gateway, bad: dict[str, Any]) -> None:
    """Nothing was written."""
    answer = gateway.send_batch(event(**bad), event(**bad))
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [item["index"] for item in answer.json()["rejected"]] == [0, 1]
    assert [error["field"] for error in answer.json()["errors"]] == [f"{index}.{next(iter(bad))}" for index in (0, 1)]
    assert not gateway.written


@pytest.mark.parametrize("body", [b"[]", b" [ ] "])
def test_an_empty_array_is_201_with_nothing(gateway: Gateway, body: bytes) -> None:
    """A shipper that flushes an empty buffer did nothing wrong."""
    answer = gateway.send(body, to="/batch")
    assert (answer.status_code, answer.json()) == (201, {"accepted": 0, "rejected": []})


@pytest.mark.parametrize("body", [b"", b"\n\n", b"\r\n  \r\n"])
def test_no_lines_are_201_with_nothing(gateway: Gateway, body: bytes) -> None:
    """The same, as lines."""
    answer = gateway.send(body, to="/batch", media_type=NDJSON)
    assert (answer.status_code, answer.json()) == (201, {"accepted": 0, "rejected": []})


@pytest.mark.parametrize(
    ("body", "status"), [(b"", 400), (b"[", 400), (_LINE, 422), (b"5", 422), (b"[" + _LINE + b"," + b"]", 400)]
)
def test_what_is_no_array_is_refused_whole(gateway: Gateway, body: bytes, status: int) -> None:
    """400 where it is no JSON, 422 where it is another kind of value."""
    assert gateway.send(body, to="/batch").status_code == status
    assert not gateway.written


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\n\n \n"])
@pytest.mark.parametrize("last", [b"", b"\n"])
def test_lines_may_end_in_any_way(gateway: Gateway, end: bytes, last: bytes) -> None:
    """LF, CRLF, blank lines between, with or without an end to the last one."""
    answer = _lines(gateway, _LINE, _LINE, _LINE + last, end=end)
    assert (answer.status_code, answer.json()["accepted"]) == (201, 3)


def test_a_broken_line_is_rejected_alone(gateway: Gateway) -> None:
    """By its index among the events, with its line number in words, since blank lines are not counted."""
    answer = _lines(gateway, _LINE, b"", b'{"service": x}', _LINE, b'"\xff"')
    assert answer.status_code == 207
    assert answer.json() == {
        "accepted": 2,
        "rejected": [
            {
                "index": 1,
                "errors": [{"field": "", "message": "line 3 is not valid JSON: invalid character at column 13"}],
            },
            {"index": 3, "errors": [{"field": "", "message": "line 5 is not valid JSON: not UTF-8 at column 2"}]},
        ],
    }


def test_a_byte_order_mark_before_the_first_line_is_passed_over(gateway: Gateway) -> None:
    """As on the other route."""
    assert _lines(gateway, b"\xef\xbb\xbf" + _LINE).status_code == 201


def _many(item: bytes, count: int, media_type: str) -> bytes:
    items = [item] * count
    return b"\n".join(items) if media_type == NDJSON else b"[" + b",".join(items) + b"]"


@pytest.mark.parametrize("media_type", ["application/json", NDJSON])
@pytest.mark.parametrize("item", [_LINE, b"0"])
def test_ten_thousand_events_are_read_and_one_more_is_413(gateway: Gateway, media_type: str, item: bytes) -> None:
    """Whether they are good ones or not."""
    assert gateway.send(_many(item, 10_001, media_type), to="/batch", media_type=media_type).status_code == 413
    assert not gateway.written
    answer = gateway.send(_many(item, 10_000, media_type), to="/batch", media_type=media_type)
    assert answer.status_code == (201 if item == _LINE else 422)


def test_the_events_of_a_service_share_a_record_in_their_order(gateway: Gateway) -> None:
    """Detection costs by the record, so few records carry many events."""
    gateway.send_batch(*(event(service=f"s{index % 2}", id=str(index)) for index in range(100)))
    for service in ("s0", "s1"):
        lane = gateway.log.partitions[home_partition(service, 6)]
        values = [json.loads(value) for key, value in lane if key == service.encode()]
        assert len(values) == 1
        assert [item["id"] for item in values[0]] == [str(index) for index in range(int(service[1]), 100, 2)]


def test_a_record_stays_small_enough_to_be_fetched_with_others(gateway: Gateway) -> None:
    """About 512 KiB; the order holds from one to the next."""
    gateway.send_batch(*(event(message="x" * 30_000, id=str(index)) for index in range(100)))
    values = [value for lane in gateway.log.partitions.values() for _, value in lane]
    assert len(values) == 6
    assert max(map(len, values)) <= 512 * 1024
    assert [written["id"] for written in gateway.written] == [str(index) for index in range(100)]


def test_an_event_larger_than_a_record_is_rejected_alone(gateway: Gateway) -> None:
    """The others of its batch are not harmed."""
    answer = gateway.send_batch(event(), event(attributes={"dump": "x" * (2 * 1024 * 1024)}), event(level="LOUD"))
    assert answer.status_code == 207
    assert [item["index"] for item in answer.json()["rejected"]] == [1, 2]
    assert "record" in answer.json()["rejected"][0]["errors"][0]["message"]
