"""Record values: written and read back, with one bad event harming no other."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import Place, UnreadableRecord, decode_events, encode_events, pack_events
from schemas.event import Event, InvalidEvent
from schemas.topics import EVENTS

_PLACE = Place(EVENTS, 3, 42, 1_675_000_000_000_000)


def _event(index: int, message: str = "m") -> Event:
    return Event(str(index), "a", "INFO", message, 1_675_000_000_000_000)


def _read(value: bytes | None) -> list[tuple[int, Any]]:
    return list(decode_events(value, _PLACE))


@pytest.mark.parametrize("count", [1, 2, 50])
def test_what_is_written_is_read_back(count: int) -> None:
    """One event as an object, several as an array."""
    events = [_event(index) for index in range(count)]
    value = encode_events(events)
    assert value.startswith(b"{" if count == 1 else b"[")
    assert _read(value) == list(enumerate(events))


def test_an_event_without_id_or_time_gets_them_from_its_place() -> None:
    """The same ones whenever the record is read."""
    value = b'[{"service":"a","level":"INFO","message":"m"},{"service":"a","level":"INFO","message":"m"}]'
    (_, first), (_, second) = _read(value)
    assert first.timestamp == _PLACE.received_at
    assert first.id == _PLACE.event_id(0)
    assert second.id == _PLACE.event_id(1) != first.id
    assert _read(value) == [(0, first), (1, second)]


def test_a_bad_event_of_an_array_harms_no_other() -> None:
    """It comes with the reason, at its index."""
    good = '{"service":"a","level":"INFO","message":"m","id":"x"}'
    for bad in ('{"service":"a"}', "5", "null", '{"service":" ","level":"INFO","message":"m"}'):
        first, second, third = _read(f"[{good},{bad},{good}]".encode())
        assert isinstance(second[1], InvalidEvent)
        assert first[1] == third[1]
        assert [first[0], second[0], third[0]] == [0, 1, 2]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "no value"),
        (b"", "no value"),
        (b"5", "expected an event"),
        (b'"text"', "expected an event"),
        (b"{", "not JSON"),
        (b'{"service":NaN}', "not JSON"),
        (b'"\xff"', "not UTF-8"),
        (b"\x00\x01binary", "not JSON"),
        (b"[" * 100_000, "not JSON"),
    ],
)
def test_a_value_that_cannot_be_read_says_why(value: bytes | None, reason: str) -> None:
    """It goes to the dead letters with this."""
    with pytest.raises(UnreadableRecord, match=reason):
        _read(value)


def test_an_empty_array_holds_no_events() -> None:
    """Nothing to do, nothing wrong."""
    assert _read(b"[]") == []


@given(st.lists(st.text(min_size=1, max_size=40), max_size=30), st.integers(1, 2_000))
def test_packing_keeps_every_event_in_order_and_within_the_limit(messages: list[str], limit: int) -> None:
    """Only an event that is larger alone may pass it, and then it lies alone; no two neighbours would fit in one."""
    events = [_event(index, message) for index, message in enumerate(messages)]
    values = list(pack_events(events, limit))
    packs = [[event for _, event in _read(value)] for value in values]
    assert [event for pack in packs for event in pack] == events
    assert all(len(value) <= limit or len(pack) == 1 for value, pack in zip(values, packs, strict=True))
    for pack, following in pairwise(packs):
        assert len(encode_events([*pack, following[0]])) > limit


def test_packing_writes_what_encoding_writes() -> None:
    """There is one form of a record's value."""
    events = [_event(index) for index in range(5)]
    assert list(pack_events(events, 10_000)) == [encode_events(events)]
    assert [json.loads(value)["id"] for value in pack_events(events, 1)] == ["0", "1", "2", "3", "4"]
