"""The code of today reads every record that older code has written, and says of it what was said then."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # it ships no types

from runtime.published.json_schemas import schema_of
from runtime.published.kinds import KINDS, Kind
from schemas import codec
from schemas.event import InvalidEvent
from schemas.topics import (
    ANALYSES,
    ANALYSIS_REQUESTS,
    CANARY,
    CORRECTIONS,
    DLQ_DECISIONS,
    EVENTS,
    EVENTS_DLQ,
    EVENTS_LATE,
    INCIDENT_EVENTS,
    INCIDENT_STATUS,
    INCIDENTS,
    MISSED_INCIDENTS,
    Header,
)
from tests.support.stored_records import Stored, stored_files, stored_records

DECODERS: dict[str, Callable[[bytes], Any]] = {
    INCIDENTS: codec.decode_incident,
    INCIDENT_EVENTS: codec.decode_incident_events,
    ANALYSES: codec.decode_analysis,
    ANALYSIS_REQUESTS: codec.decode_analysis_request,
    INCIDENT_STATUS: codec.decode_status_change,
    CORRECTIONS: codec.decode_correction,
    MISSED_INCIDENTS: codec.decode_missed_incident,
    DLQ_DECISIONS: codec.decode_letter_decision,
    CANARY: codec.decode_incident,
}
every_file = pytest.mark.parametrize("file", stored_files())


@every_file
@pytest.mark.parametrize("topic", DECODERS)
def test_a_record_of_the_pipeline_keeps_all_that_it_said(file: str, topic: str) -> None:
    """Read and written again it has the same fields with the same values."""
    for stored in stored_records(file).get(topic, []):
        assert json.loads(codec.encode(DECODERS[topic](stored.value))) == json.loads(stored.value)


@every_file
def test_events_are_what_they_were(file: str) -> None:
    """Each that was read as an event then is read as the same event, and each that was not is refused."""
    records = stored_records(file)
    valid = [event for stored in records[EVENTS] for event in _events(stored) if not isinstance(event, str)]
    refused = [text for stored in records[EVENTS] for text in _events(stored) if isinstance(text, str)]
    assert len(valid) > 60
    assert len(refused) == len(records[EVENTS_DLQ])
    assert all(event.level in ("ERROR", "INFO", "WARNING") for event in valid)
    late = [event for stored in records[EVENTS_LATE] for event in _events(stored)]
    assert late
    assert set(late) <= set(valid)


@every_file
def test_letters_say_why_they_are_there(file: str) -> None:
    """With the headers of today, by which they are counted and sent again."""
    for topic in (EVENTS_DLQ, EVENTS_LATE):
        for stored in stored_records(file)[topic]:
            assert stored.headers[Header.REASON]
            assert stored.headers[Header.TOPIC] == EVENTS
            assert int(stored.headers[Header.OFFSET]) >= 0


@every_file
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.value is not None], ids=lambda kind: kind.name)
def test_the_published_schema_describes_what_was_written(file: str, kind: Kind) -> None:
    """Of every time; what is no event lies in the dead letters."""
    validator = Draft202012Validator(schema_of(kind))
    for stored in stored_records(file).get(kind.topic, []):
        if kind.topic != EVENTS or all(not isinstance(event, str) for event in _events(stored)):
            validator.validate(json.loads(stored.value))


def test_every_topic_has_a_record_in_the_newest_file() -> None:
    """Else its decoder would be tried on nothing."""
    assert {kind.topic for kind in KINDS} <= stored_records("0.1.0").keys()


def _events(stored: Stored) -> list[Any]:
    """The events of a record; a text stands for what is none."""
    place = codec.Place(stored.topic, 0, 0, 1_700_000_000_000_000)
    try:
        found = list(codec.decode_events(stored.value, place))
    except codec.UnreadableRecord as unreadable:
        return [str(unreadable)]
    return [str(event) if isinstance(event, InvalidEvent) else _hashable(event) for _, event in found]


class _Known(NamedTuple):
    """What a late letter and the event itself have in common."""

    id: str
    service: str
    level: str
    message: str
    timestamp: int


def _hashable(event: Any) -> _Known:
    return _Known(event.id, event.service, event.level, event.message, event.timestamp)
