"""Whatever lies in the log: every event of a record goes one way, and nothing makes the processor stop."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.codec import Place, decode_events, encode, encode_events
from schemas.event import Event
from schemas.placement import home_partition
from schemas.timestamps import MICROSECONDS
from schemas.topics import EVENTS, EVENTS_LATE, MAX_EVENT_BYTES, MAX_RECORD_BYTES, PACK_BYTES, Header
from stream_processor.decisions import Arrival
from stream_processor.sorting import Sorted, late_letter, rekeyed, sort_records
from tests.support.memory_log import LogRecord, event_record

PARTITIONS = 3
HERE = next(name for name in map(str, range(99)) if home_partition(name, PARTITIONS) == 0)
THERE = next(name for name in map(str, range(99)) if home_partition(name, PARTITIONS) == 1)


def event(service: str, **fields: Any) -> dict[str, Any]:
    return {"service": service, "level": "ERROR", "message": "boom", **fields}


def header(found: Sorted, number: int, name: str) -> str:
    return dict(found.dead[number].letter.headers)[name].decode()


def test_a_record_of_no_events_holds_none() -> None:
    """An empty array, as the processor writes where nobody sends, goes nowhere and is no dead letter."""
    found = sort_records([LogRecord(7, b"[]"), event_record(8, event(HERE)), LogRecord(9, b" [ ] ")], PARTITIONS)

    assert (list(found.here), found.elsewhere, found.dead) == ([HERE], {}, [])


def test_events_are_sorted_by_service_in_the_order_of_the_log() -> None:
    """What belongs here keeps its place in the log; what belongs elsewhere keeps its order."""
    records = [
        event_record(7, event(HERE, id="a"), event(THERE, id="b"), event(HERE, id="c")),
        event_record(8, event(THERE, id="d")),
    ]

    found = sort_records(records, PARTITIONS)

    assert [(a.event.id, a.offset, a.index) for a in found.here[HERE]] == [("a", 7, 0), ("c", 7, 2)]
    assert [e.id for e in found.elsewhere[THERE]] == ["b", "d"]
    assert found.dead == []


def test_the_time_of_receipt_is_the_records() -> None:
    """An event without a timestamp happened when its record was appended; the record counts milliseconds."""
    (arrival,) = sort_records([event_record(0, event(HERE))], PARTITIONS).here[HERE]

    assert arrival.event.timestamp == arrival.received_at == 1_700_000_000 * MICROSECONDS


def test_written_again_an_event_keeps_its_id_and_time() -> None:
    """The id and the time of a misplaced event come from where it first lay, so that a repeat is recognised."""
    found = sort_records([event_record(0, event(THERE))], PARTITIONS)

    (record,) = rekeyed(found, PARTITIONS)
    again = sort_records([LogRecord(900, record.value, 1, timestamp=1_800_000_000_000)], PARTITIONS)

    assert (record.topic, record.partition, record.key) == (EVENTS, 1, THERE.encode())
    assert [a.event for a in again.here[THERE]] == found.elsewhere[THERE]


def test_many_misplaced_events_travel_in_records_of_bounded_size() -> None:
    """Ten thousand events of one service are written again in few records, none large, all in order."""
    found = sort_records([event_record(n, event(THERE, id=f"e{n}")) for n in range(10_000)], PARTITIONS)

    records = rekeyed(found, PARTITIONS)

    assert 1 < len(records) < 10
    assert all(len(record.value or b"") <= PACK_BYTES for record in records)
    place = Place(EVENTS, 1, 0, 1_700_000_000 * MICROSECONDS)
    read = [found.id for r in records for _, found in decode_events(r.value, place) if isinstance(found, Event)]
    assert read == [f"e{n}" for n in range(10_000)]


@pytest.mark.parametrize("service", [HERE, THERE])
def test_an_event_that_would_not_fit_into_a_record_is_dead_lettered(service: str) -> None:
    """Written again it would get a key, an id and a time, for which 16 KiB are kept free."""
    fits = event(service, id="fits", attributes={"blob": "x" * (MAX_EVENT_BYTES - 200)})
    too_large = event(service, attributes={"blob": "x" * (MAX_EVENT_BYTES + 200)})

    found = sort_records([event_record(0, fits), event_record(1, too_large)], PARTITIONS)

    assert len(found.here) + len(found.elsewhere) == 1
    assert header(found, 0, Header.REASON) == "too_large"
    assert found.dead[0].letter.value == encode(too_large)
    assert all(len(record.value or b"") <= MAX_EVENT_BYTES for record in rekeyed(found, PARTITIONS))


def test_a_value_that_was_compressed_beyond_measure_is_cut() -> None:
    """A broker limits compressed batches alone; what is larger than a record may be leaves cut, with its origin."""
    record = LogRecord(5, encode([event(HERE)] * 60_000), key=b"k" * 3 * MAX_RECORD_BYTES)
    assert len(record.value or b"") > MAX_RECORD_BYTES

    found = sort_records([record], PARTITIONS)

    assert (found.here, found.elsewhere) == ({}, {})
    assert header(found, 0, Header.REASON) == "unreadable"
    assert "more than the 2,097,152 of a record; key and value are cut" in header(found, 0, Header.DETAIL)
    letter = found.dead[0].letter
    assert len(letter.key or b"") + len(letter.value or b"") < 2 * MAX_RECORD_BYTES
    assert header(found, 0, Header.OFFSET) == "5"


def test_a_dead_letter_keeps_the_headers_of_its_record_within_bounds() -> None:
    """Headers of megabytes would make a letter that no broker takes; what tells a trace stays."""
    small, trace = ("tenant", b"a"), ("traceparent", b"00-1-2-01")
    kept = [LogRecord(0, b"junk", headers=[small, trace]), LogRecord(1, b"junk", headers=[trace, ("x", b"y" * 65_536)])]
    kept.append(LogRecord(2, b"junk", headers=[("x", b"y" * 65_536), ("tracestate", b"z" * 8_193)]))

    headers = [dead.letter.headers for dead in sort_records(kept, PARTITIONS).dead]

    ours = {value for value in vars(Header).values() if isinstance(value, str)}
    assert [[h for h in each if h[0] not in ours] for each in headers] == [[small, trace], [trace], []]


def test_an_array_full_of_junk_costs_a_hundred_letters() -> None:
    """A hundred broken events of an array leave singly, the rest together; each of them is counted."""
    junk: list[dict[str, object]] = [{"level": n} for n in range(50_000)]

    found = sort_records([event_record(3, *junk[:10], event(HERE), *junk[10:])], PARTITIONS)

    assert len(found.here[HERE]) == 1
    assert len(found.dead) == 101
    assert sum(dead.events for dead in found.dead) == 50_000
    assert header(found, 0, Header.INDEX) == "0"
    assert (found.dead[10].letter.value, header(found, 10, Header.INDEX)) == (b'{"level":10}', "11")
    assert json.loads(found.dead[100].letter.value or b"") == junk[100:]
    assert header(found, 100, Header.DETAIL).startswith("49,900 more broken events of one array; the first: service")


def test_a_late_letter_names_its_origin_and_how_late_it_was() -> None:
    """Original topic, partition, offset, index and time of receipt are in the headers."""
    late = Arrival(Event("e", HERE, "ERROR", "boom", 1_000 * MICROSECONDS), 12, 3, 5_000 * MICROSECONDS)

    letter = late_letter(late, 2, 1_700 * MICROSECONDS + MICROSECONDS // 2)

    assert (letter.topic, letter.partition, letter.key) == (EVENTS_LATE, 2, HERE.encode())
    assert letter.value == encode_events([late.event])
    assert {name: value.decode() for name, value in letter.headers} == {
        Header.REASON: "late",
        Header.DETAIL: "700.5 s behind the service's newest event time 1970-01-01T00:28:20.500000Z",
        Header.TOPIC: EVENTS,
        Header.PARTITION: "2",
        Header.OFFSET: "12",
        Header.TIMESTAMP: "5000000",
        Header.INDEX: "3",
    }


SCALARS: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.integers(10**30, 10**40) | st.floats() | st.text(max_size=8)
)
JUNK = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner))
EVENTISH = st.fixed_dictionaries(
    {},
    optional={
        "service": st.sampled_from([HERE, THERE, " ", "\x00", "ünï", "\ud83d\ude00"]) | JUNK,
        "level": st.sampled_from(["ERROR", "warn", "LOUD"]) | JUNK,
        "message": st.text(max_size=5) | JUNK,
        "timestamp": st.sampled_from(["2023-11-14T22:13:20Z", "9999-12-31T23:59:60Z", "0001-01-01T00:00:00+23:59"])
        | JUNK,
        "id": st.text(max_size=70) | JUNK,
        "attributes": st.dictionaries(st.text(max_size=4), SCALARS, max_size=70) | JUNK,
        "host": JUNK,
        "unknown": JUNK,
    },
)
VALUES = (
    st.none()
    | st.binary(max_size=60)
    | (EVENTISH | st.lists(EVENTISH | JUNK, max_size=6) | JUNK).map(
        lambda content: json.dumps(content, ensure_ascii=False).encode(errors="surrogatepass")
    )
    | (EVENTISH | st.lists(EVENTISH, max_size=3)).map(lambda content: json.dumps(content).encode()[:-1])
)


@settings(max_examples=120, deadline=None)
@given(values=st.lists(VALUES, min_size=1, max_size=2))
def test_any_bytes_at_all_are_taken_in_written_again_or_dead_lettered(values: list[bytes | None]) -> None:
    """Every event goes exactly one way, and what is written again is read at its home as the very same event."""
    records = [LogRecord(offset, value) for offset, value in enumerate(values)]

    found = sort_records(records, PARTITIONS)

    taken = sum(map(len, found.here.values())) + sum(map(len, found.elsewhere.values()))
    unreadable = {dict(d.letter.headers)[Header.OFFSET] for d in found.dead if d.fault == "unreadable"}
    readable = [value for offset, value in enumerate(values) if str(offset).encode() not in unreadable]
    assert taken + sum(d.events for d in found.dead) == len(unreadable) + sum(map(events_in, readable))
    for record in rekeyed(found, PARTITIONS):
        again = sort_records([LogRecord(77, record.value, record.partition)], PARTITIONS)
        assert again.dead == []
        for service, arrivals in again.here.items():
            assert [arrival.event for arrival in arrivals] == found.elsewhere[service]


def events_in(value: bytes | None) -> int:
    """Elements of an array, else one."""
    content = json.loads(value or b"null")
    return len(content) if isinstance(content, list) else 1
