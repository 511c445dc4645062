"""Whatever is sent, the gateway answers with one of its own answers and writes exactly what it accepted."""

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.ingest_gateway.gateway_client import NDJSON, Gateway, event, running_gateway

_scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=[]))
_values = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)
_fields = st.sampled_from(["service", "level", "message", "timestamp", "id", "attributes", "host", "other"])
_events = (
    st.just(event()) | _values | st.dictionaries(_fields, _values, max_size=3).map(lambda changes: event(**changes))
)
_texts = st.binary(max_size=50) | _events.map(lambda value: json.dumps(value).encode())
_batches = st.binary(max_size=50) | st.lists(_events, max_size=5).map(lambda value: json.dumps(value).encode())


@pytest.fixture(scope="module")
def running() -> Iterator[Gateway]:
    """One gateway for all examples."""
    with running_gateway() as gateway:
        yield gateway


def _send(gateway: Gateway, body: bytes, **options: Any) -> tuple[int, Any, int]:
    """Status, answer, and how many events are in the log because of it."""
    gateway.log.partitions.clear()
    answer = gateway.send(body, **options)
    return answer.status_code, answer.json(), len(gateway.written)


@given(_texts)
def test_any_body_to_the_single_route(running: Gateway, body: bytes) -> None:
    """201 writes one event, anything else none."""
    status, answer, written = _send(running, body)
    assert status in {201, 400, 422}
    assert written == (1 if status == 201 else 0)
    assert ("errors" in answer) == (status == 422)


@given(_batches)
def test_any_array_to_the_batch_route(running: Gateway, body: bytes) -> None:
    """As many as it says were accepted."""
    status, answer, written = _send(running, body, to="/batch")
    assert status in {201, 207, 400, 422}
    assert written == answer.get("accepted", 0)


@given(st.lists(_texts, max_size=5))
def test_any_lines_to_the_batch_route(running: Gateway, lines: list[bytes]) -> None:
    """Lines are judged one by one, so there is no 400."""
    status, answer, written = _send(running, b"\n".join(lines), to="/batch", media_type=NDJSON)
    assert status in {201, 207, 422}
    assert written == answer["accepted"]
    assert bool(answer["rejected"]) == (status != 201)


@given(st.binary(max_size=80), st.integers(0, 100), st.integers(0, 255))
def test_any_damage_to_a_gzip_body(running: Gateway, tail: bytes, place: int, byte: int) -> None:
    """It unpacks to what was packed, or is refused."""
    packed = bytearray(gzip.compress(json.dumps(event()).encode(), mtime=0))
    packed[place % len(packed)] = byte
    status, _, written = _send(running, bytes(packed) + tail, content_encoding="gzip")
    assert status in {201, 400, 422}
    assert written == (1 if status == 201 else 0)
