"""Whatever an application says becomes an event that the gateway takes."""

import json
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_assist.client.limits import LEAST_BYTES
from ops_assist.client.shape import MAX_STACKTRACE, MAX_TEXT, flat, known_level, make_item, service_name
from schemas.event import event_from_object, to_wire
from schemas.timestamps import now_micros
from schemas.topics import MAX_EVENT_BYTES


def _event(line: bytes) -> dict[str, Any]:
    """As the gateway reads it."""
    return to_wire(event_from_object(json.loads(line), default_id="", received_at=now_micros()))


_scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary()
_values = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)


@given(st.text(st.characters()), st.dictionaries(st.text(st.characters()), _values), st.text(max_size=40))
def test_anything_becomes_an_event_that_the_gateway_takes(
    message: str, attributes: dict[str, object], trace: str
) -> None:
    """Half surrogates, NaN, huge numbers, bytes, nesting: all of it."""
    made = make_item("checkout", "INFO", message, attributes=attributes, trace_id=trace)
    event = _event(made.line)
    assert event["id"] == made.id
    assert UUID(made.id).version == 7
    assert event["level"] == "INFO"


def test_the_largest_event_fits_a_record_of_the_log_and_an_empty_queue() -> None:
    """Every text is cut; a control character takes six bytes as JSON."""
    worst = "\x01"
    attributes: dict[str, object] = {"exception.stacktrace": worst * 90_000}
    attributes |= {f"{number}{worst * 300}": worst * 9_000 for number in range(70)}
    context = dict.fromkeys(("trace_id", "span_id", "host", "environment"), worst * 900)
    line = make_item(worst * 100, "ERROR", worst * 90_000, attributes=attributes, micros=0, **context).line
    assert len(line) <= min(MAX_EVENT_BYTES, LEAST_BYTES)
    assert len(_event(line)["attributes"]) == 64


def test_mappings_are_flattened_and_other_things_become_text() -> None:
    """An event's attributes are flat."""
    assert flat(
        {"user": {"id": 7, "tags": ["a", "b"]}, "ok": True, "none": None, "big": 2**70, "nan": float("nan")}
    ) == {
        "user.id": 7,
        "user.tags": "['a', 'b']",
        "ok": True,
        "big": str(2**70),
        "nan": "nan",
    }


def test_a_thing_whose_text_fails_is_told_by_its_type() -> None:
    """A broken `__str__` breaks no log call."""

    class Broken:
        def __str__(self) -> str:
            raise RuntimeError

    assert flat({"it": Broken()}) == {"it": "<Broken: its text failed with RuntimeError>"}


def test_a_mapping_within_itself_ends() -> None:
    """Some levels deep."""
    loop: dict[str, object] = {}
    loop["again"] = loop
    assert list(flat({"loop": loop})) == ["loop.again.again.again"]


def test_long_texts_lose_their_end_and_stack_traces_their_beginning() -> None:
    """The exception itself stands at the end of its trace."""
    found = flat({"text": "a" * 99_999, "exception.stacktrace": "a" * 99_999 + "ValueError"})
    assert str(found["text"]) == "a" * (MAX_TEXT - 3) + "..."
    assert len(str(found["exception.stacktrace"])) == MAX_STACKTRACE
    assert str(found["exception.stacktrace"]).endswith("aValueError")


def test_an_empty_message_is_named_so() -> None:
    """The gateway wants at least a character."""
    assert _event(make_item("a", "INFO", "").line)["message"] == "(no message)"


@pytest.mark.parametrize("name", ["", "  ", "x" * 101])
def test_a_service_that_the_gateway_would_refuse_is_refused_at_once(name: str) -> None:
    """When the client is made, not with every event."""
    with pytest.raises(ValueError, match="1 to 100 characters"):
        service_name(name)


def test_an_unknown_level_is_refused_and_an_alias_folded() -> None:
    """As the gateway does."""
    assert known_level("warn") == "WARNING"
    with pytest.raises(ValueError, match="'loud'"):
        known_level("loud")
