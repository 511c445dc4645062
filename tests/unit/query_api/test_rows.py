"""What of a record goes into which table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query_api.materializer.batch import Source
from query_api.materializer.rows import Record, analysis_row, event_rows, incident_row, link_rows, newest
from query_api.text import clean
from schemas.codec import Place, UnreadableRecord, encode
from schemas.incident import AttachedEvent, IncidentEvents
from schemas.placement import home_partition
from schemas.timestamps import to_datetime
from schemas.topics import EVENTS, INCIDENT_EVENTS, INCIDENTS
from tests.unit.query_api.view_records import START, Log, analysis, event, incident


def _record(value: bytes | None, topic: str = EVENTS, partition: int = 0) -> Record:
    return Record(topic, partition, 7, START // 1_000, value)


def test_a_record_of_no_events_gives_no_rows() -> None:
    """An empty array, as the processor writes where nobody sends."""
    assert event_rows(_record(b"[]"), 1) == []


def test_event_without_id_and_time_gets_those_of_its_place() -> None:
    """The view derives id and time exactly as the processor does: from the record's place and time of receipt."""
    bare = {"service": "checkout", "level": "error", "message": "m"}

    rows = event_rows(_record(encode([bare, bare])), 1)

    place = Place(EVENTS, 0, 7, START)
    assert [(row.idx, row.id) for row in rows] == [(0, place.event_id(0)), (1, place.event_id(1))]
    assert {row.event_time for row in rows} == {to_datetime(START)}


def test_events_away_from_home_are_left_to_their_second_writing() -> None:
    """The processor writes a misplaced event again in its service's partition; only that one is kept."""
    home = home_partition("checkout", 3)

    assert len(event_rows(_record(encode(event()), partition=home), 3)) == 1
    assert event_rows(_record(encode(event()), partition=(home + 1) % 3), 3) == []


def test_broken_event_does_not_harm_its_neighbours() -> None:
    """In an array, an event that breaks a rule is left out and the others keep their index."""
    rows = event_rows(_record(encode([event(1), {"service": "checkout"}, event(2)])), 1)

    assert [(row.idx, row.id) for row in rows] == [(0, "e1"), (2, "e2")]


def test_nul_is_replaced_wherever_it_may_stand() -> None:
    """PostgreSQL holds no NUL: messages, attributes and incident texts carry U+FFFD instead."""
    (row,) = event_rows(_record(encode(event(message="a\0b", attributes={"k\0": "v\0"}))), 1)
    shown = incident_row(_record(encode(incident(reason="x\0y", service="s\0"))))

    assert (row.message, row.attributes) == ("a\ufffdb", '{"k\ufffd":"v\ufffd"}')
    assert (shown["reason"], shown["service"]) == ("x\ufffdy", "s\ufffd")


def test_escaped_backslash_before_u0000_stays_text() -> None:
    r"""A literal backslash followed by u0000 is no NUL and is kept as it is."""
    (row,) = event_rows(_record(encode(event(attributes={"k": "\\u0000"}))), 1)

    assert row.attributes == r'{"k":"\\u0000"}'


@pytest.mark.parametrize("value", [None, b"", b"{", b"[]", b"{}", b'{"key": 1}', b"\xff"])
def test_unreadable_records_say_so(value: bytes | None) -> None:
    """A record that is none of ours raises one error, whatever is wrong with it."""
    with pytest.raises(UnreadableRecord):
        incident_row(_record(value, INCIDENTS))
    with pytest.raises(UnreadableRecord):
        link_rows(_record(value, INCIDENT_EVENTS))
    with pytest.raises(UnreadableRecord):
        analysis_row(_record(value, INCIDENTS))


def test_links_name_the_partition_of_the_events() -> None:
    """A link says where the event lies, not where the link's own record does."""
    links = IncidentEvents("k1", "checkout", 2, [AttachedEvent(11, 3, START)])

    (row,) = link_rows(_record(encode(links), INCIDENT_EVENTS, partition=0))

    assert row == (2, 11, 3, "k1", to_datetime(START))


@given(st.permutations([1, 2, 3, 4]))
def test_newest_version_wins_in_any_order(versions: list[int]) -> None:
    """Of several versions in one batch only the greatest is written, whatever their order."""
    rows = newest([{"key": "k", "version": version} for version in versions], "key", "version")

    assert rows == [{"key": "k", "version": 4}]


@given(st.text())
def test_cleaned_text_can_be_stored(text: str) -> None:
    """Cleaned text is valid UTF-8 without NUL, and text that was fine is left alone."""
    cleaned = clean(text)

    assert "\0" not in cleaned.encode().decode()
    assert cleaned == text or "\0" in text


def test_half_of_a_surrogate_pair_is_replaced() -> None:
    """What cannot be written in UTF-8 becomes U+FFFD."""
    assert clean("a\ud800b") == "a\ufffdb"


def test_batch_leaves_out_what_was_applied_before() -> None:
    """Records below the position are repeats; the batch starts from the position all the same."""
    log = Log()
    log.incidents(incident(version=5), incident(version=6))
    source = Source(INCIDENTS, 0)

    batch = log.batch({source: 1})

    assert [row["version"] for row in batch.incidents] == [6]
    assert (batch.expected, batch.reached) == ({source: 1}, {source: 2})


def test_batch_leaves_out_partitions_of_others() -> None:
    """A partition whose position is not known was taken away meanwhile."""
    log = Log()
    log.analyses(analysis())

    assert log.batch({Source(INCIDENTS, 0): 0}).expected == {}


def test_unreadable_record_is_passed_over() -> None:
    """The batch goes past a record that nobody can read, rather than stop at it for ever."""
    log = Log()
    log.append(INCIDENTS, b"nonsense")
    log.incidents(incident())

    batch = log.batch()

    assert len(batch.incidents) == 1
    assert batch.reached == {Source(INCIDENTS, 0): 2}
