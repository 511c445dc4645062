"""Events: the quick way and the field-by-field way of reading one agree on everything."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.event import (
    MAX_FUTURE,
    Event,
    InvalidEvent,
    WireEvent,
    event_from_object,
    to_event,
    to_wire,
)
from schemas.levels import ALIASES, LEVELS
from schemas.timestamps import EARLIEST, to_micros, to_rfc3339

_NOW = to_micros(datetime(2023, 1, 29, 8, 42, 22, tzinfo=UTC))
_GOOD = {"service": "a", "level": "INFO", "message": "m"}

_scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
_json = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)
_times = st.datetimes(timezones=st.timezones() | st.just(UTC)).map(lambda moment: moment.isoformat()) | st.sampled_from(
    [
        "2023-01-29T08:42:22Z",
        "2023-01-29T08:47:22Z",
        "2023-01-29T08:47:22.000001Z",
        "2016-12-31T23:59:60Z",
        "2023-01-29T08:42:22",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-23:59",
        "1985-04-12T23:20:50.52Z",
    ]
)
_likely = st.fixed_dictionaries(
    {},
    optional={
        "service": st.text(max_size=110) | _json,
        "level": st.sampled_from([*LEVELS, *ALIASES, "info", " warn ", "LOUD", ""]) | _json,
        "message": st.text(max_size=20) | _json,
        "timestamp": _times | _json,
        "id": st.text(max_size=70) | _json,
        "attributes": st.dictionaries(st.text(max_size=5), _scalars, max_size=70) | _json,
        "trace_id": st.text(max_size=5) | _json,
        "host": st.text(max_size=5) | _json,
        "other": _json,
    },
)
_good = st.fixed_dictionaries(
    {
        "service": st.text(min_size=1, max_size=100).filter(lambda text: bool(text.strip())),
        "level": st.sampled_from([*LEVELS, *ALIASES]),
        "message": st.text(min_size=1, max_size=50),
    },
    optional={
        "timestamp": st.datetimes(max_value=datetime(2023, 1, 29), timezones=st.just(UTC)).map(datetime.isoformat),  # noqa: DTZ001 - hypothesis wants bounds without a zone
        "id": st.text(min_size=1, max_size=64),
        "attributes": st.dictionaries(
            st.text(), st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
        ),
        "host": st.text(),
    },
)


def _quickly(text: bytes) -> Event | None:
    """The typed way; None where it refuses."""
    try:
        return to_event(msgspec.json.decode(text, type=WireEvent), default_id="d", received_at=_NOW)
    except (msgspec.ValidationError, InvalidEvent):
        return None


def _field_by_field(value: object) -> Event | None:
    """The way that names every broken field; None where it refuses."""
    try:
        return event_from_object(value, default_id="d", received_at=_NOW)
    except InvalidEvent:
        return None


def _is_leap_second(value: Any) -> bool:
    return isinstance(value, dict) and value.get("timestamp") == "2016-12-31T23:59:60Z"


@given(_likely | _json)
@example(_GOOD | {"timestamp": "2023-01-29T08:47:22Z"})
@example(_GOOD | {"timestamp": "0001-01-01T00:00:00+01:00"})
@example(_GOOD | {"service": " "})
def test_both_ways_of_reading_agree(value: Any) -> None:
    """The same events are accepted and they come out the same; only leap seconds need the second way."""
    text = json.dumps(value).encode()
    slow = _field_by_field(msgspec.json.decode(text))
    quick = _quickly(text)
    assert quick == slow or (quick is None and _is_leap_second(value))


@given(_good)
def test_a_good_event_survives_the_wire(value: dict[str, Any]) -> None:
    """What is written is read back as the same event, whoever reads it and whenever."""
    event = event_from_object(value, default_id="d", received_at=_NOW)
    again = msgspec.json.encode(to_wire(event))
    assert _quickly(again) == event
    assert to_event(msgspec.json.decode(again, type=WireEvent), default_id="x", received_at=_NOW + 1) == event


@given(st.integers(EARLIEST, _NOW + MAX_FUTURE))
def test_every_time_within_the_bounds_survives_the_wire(micros: int) -> None:
    """From the year 1 to five minutes from now, to the microsecond."""
    event = event_from_object(_GOOD | {"timestamp": to_rfc3339(micros)}, default_id="d", received_at=_NOW)
    assert event.timestamp == micros
    assert to_wire(event)["timestamp"] == to_rfc3339(micros)


def test_the_future_ends_exactly_five_minutes_after_receipt() -> None:
    """The bound itself is within; a microsecond more is not."""
    for ahead, accepted in ((MAX_FUTURE, True), (MAX_FUTURE + 1, False)):
        value = _GOOD | {"timestamp": to_rfc3339(_NOW + ahead)}
        assert (_field_by_field(value) is not None) is accepted
        assert (_quickly(json.dumps(value).encode()) is not None) is accepted


def test_every_broken_field_is_named_by_both_ways() -> None:
    """The quick one names what it alone can find."""
    wire = WireEvent(service=" ", level="LOUD", message="m", timestamp=datetime(2999, 1, 1, tzinfo=UTC))
    with pytest.raises(InvalidEvent) as invalid:
        to_event(wire, default_id="d", received_at=_NOW)
    assert {error.field for error in invalid.value.errors} == {"service", "level", "timestamp"}
    assert "service" in str(invalid.value)
    with pytest.raises(InvalidEvent) as invalid:
        event_from_object({"service": 1, "timestamp": "x", "id": ""}, default_id="d", received_at=_NOW)
    assert {error.field for error in invalid.value.errors} == {"service", "level", "message", "timestamp", "id"}


@pytest.mark.parametrize("level", [*LEVELS, *ALIASES])
@pytest.mark.parametrize("spelling", [str, str.lower, str.title, lambda text: f" {text}\n"])
def test_a_level_is_read_in_any_case(level: str, spelling: Any) -> None:
    """And comes out as one of the six."""
    event = _field_by_field(_GOOD | {"level": spelling(level)})
    assert event is not None
    assert event.level == ALIASES.get(level, level)


def test_empty_attributes_are_no_attributes() -> None:
    """So that equal events are equal bytes."""
    event = _field_by_field(_GOOD | {"attributes": {}})
    assert event is not None
    assert "attributes" not in to_wire(event)
