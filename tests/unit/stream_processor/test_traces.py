"""Traces through the detection: carried in headers, per batch and per opening, and never part of what is decided."""

import pytest
import structlog

from runtime import tracing
from runtime.logging import add_trace
from runtime.trace_context import TraceContext, context_of, headers_of
from schemas.placement import home_partition
from schemas.topics import EVENTS, EVENTS_DLQ, INCIDENT_STATUS, INCIDENTS
from stream_processor.outgoing import Outgoing
from stream_processor.sorting import rekeyed, sort_records
from tests.support.memory_log import LogRecord, event_record
from tests.support.span_recorder import MemoryRecorder
from tests.unit.stream_processor.test_processor import Setup, change, error


def context(number: int, *, sampled: bool = True) -> TraceContext:
    return TraceContext(f"{number:032x}", f"{number:016x}", int(sampled))


def traced(record: LogRecord, found: TraceContext | None) -> LogRecord:
    record.headers = headers_of(found)
    return record


def burst(count: int, first: int = 0, *, sampled: bool = True) -> list[LogRecord]:
    """Records of one event each, each of a trace of its own: that of offset n is n + 1."""
    return [traced(event_record(n, error(n)), context(n + 1, sampled=sampled)) for n in range(first, first + count)]


def carried(records: list[Outgoing]) -> list[TraceContext | None]:
    return [context_of(record.headers) for record in records]


async def test_without_spans_an_incident_carries_the_trace_of_the_event_that_opened_it() -> None:
    """Not that of those behind it in the same batch; a later version carries that of its newest event."""
    setup = Setup()
    await setup.processor.take_events(0, burst(7))
    await setup.processor.take_events(0, burst(2, first=7))
    assert carried(setup.publisher.to(INCIDENTS)) == [context(5), context(9)]


async def test_an_opening_is_a_span_of_the_trace_that_caused_it() -> None:
    """Linked to the batch, which is linked to all that sent it; growing is no span."""
    setup, recorder = Setup(), MemoryRecorder()
    with tracing.recording(recorder):
        await setup.processor.take_events(0, burst(6))
        await setup.processor.take_events(0, burst(1, first=6))
    batch, opening, grown = recorder.spans
    assert (batch.name, batch.kind, batch.parent) == ("process ops.events", "consumer", None)
    assert batch.links == [context(n) for n in range(1, 7)]
    assert batch.attributes["messaging.batch.message_count"] == 6
    assert (opening.name, opening.kind, opening.parent) == ("send ops.incidents", "producer", context(5))
    assert opening.links == [batch.context]
    assert (grown.name, grown.parent, grown.links) == ("process ops.events", context(7), [context(7)])
    assert [span.ended for span in recorder.spans] == [1, 1, 1]
    assert carried(setup.publisher.to(INCIDENTS)) == [opening.context, context(7)]


async def test_batches_that_nobody_samples_are_no_spans_and_an_opening_is_one() -> None:
    """With a trace that the sampler is asked about, or one that begins there."""
    setup, recorder = Setup(), MemoryRecorder()
    with tracing.recording(recorder):
        await setup.processor.take_events(0, [event_record(n, error(n)) for n in range(4)])
        await setup.processor.take_events(0, burst(3, first=4, sampled=False))
    assert recorder.names == ["send ops.incidents"]
    assert recorder.spans[0].parent == context(5, sampled=False)


async def test_what_is_decided_is_the_same_with_and_without_traces() -> None:
    """Every value and key, byte by byte; only headers differ."""
    plain, traced_too = Setup(), Setup()
    await plain.processor.take_events(0, [event_record(n, error(n)) for n in range(9)])
    with tracing.recording(MemoryRecorder()):
        await traced_too.processor.take_events(0, burst(9))
    bare, with_headers = plain.publisher.records, traced_too.publisher.records
    assert bare != with_headers
    assert bare == [record._replace(headers=()) for record in with_headers]
    assert plain.rows.rows == traced_too.rows.rows


async def test_a_failure_ends_the_spans_as_failed() -> None:
    """And the batch that comes again is a span again."""
    setup, recorder = Setup(), MemoryRecorder()
    setup.publisher.fails = True
    with tracing.recording(recorder), pytest.raises(ConnectionError):
        await setup.processor.take_events(0, burst(5))
    assert [(span.error, span.ended) for span in recorder.spans] == [("ConnectionError", 1)] * 2


async def test_a_status_change_hands_its_trace_on() -> None:
    """To the incident's new version."""
    setup = Setup()
    await setup.burst(0, range(5))
    record = traced(change(setup.only().key, "resolved"), context(77))
    await setup.processor.take_status_changes(0, [record])
    assert carried(setup.publisher.to(INCIDENTS)) == [None, context(77)]


async def test_a_status_change_in_the_wrong_place_keeps_its_trace_on_its_way() -> None:
    """When it is written again where its service lives."""
    setup = Setup(partitions=3)
    wrong = (home_partition("checkout", 3) + 1) % 3
    await setup.processor.take_status_changes(wrong, [traced(change("k", "resolved"), context(77))])
    assert carried(setup.publisher.to(INCIDENT_STATUS)) == [context(77)]


async def test_a_dead_letter_keeps_its_trace_beside_its_reason() -> None:
    """So that whoever retries it continues it."""
    setup = Setup()
    await setup.processor.take_events(0, [traced(LogRecord(0, b"junk"), context(3))])
    assert carried(setup.publisher.to(EVENTS_DLQ)) == [context(3)]


def test_events_of_other_places_keep_their_order_and_each_its_own_trace() -> None:
    """A record that is written again holds events of one trace; never more records than came."""
    service = next(name for name in map(str, range(99)) if home_partition(name, 3) == 1)
    traces = [None, context(1), context(1), context(2), context(1), None]
    records = [traced(event_record(n, error(n, service, id=str(n))), trace) for n, trace in enumerate(traces)]
    written = rekeyed(sort_records(records, 3), 3)
    again = sort_records([LogRecord(n, record.value, 1) for n, record in enumerate(written)], 3)
    assert carried(written) == [None, context(1), context(2), context(1), None]
    assert [arrival.event.id for arrival in again.here[service]] == ["0", "1", "2", "3", "4", "5"]


async def test_an_opening_is_logged_with_its_trace_and_the_place_of_its_event() -> None:
    """One line for each, with spans or without."""
    setup = Setup()
    with structlog.testing.capture_logs(processors=[add_trace]) as lines:
        await setup.processor.take_events(0, burst(6))
    (line,) = [line for line in lines if line["event"] == "incident_opened"]
    assert {name: line[name] for name in ("trace_id", "topic", "partition", "offset", "incident")} == {
        "trace_id": context(5).trace_id, "topic": EVENTS, "partition": 0, "offset": 4, "incident": setup.only().key,
    }  # fmt: skip
