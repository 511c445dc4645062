"""Spans of the view: one for a batch, linked to what it holds, and one for each incident and analysis in it."""

from query_api.materializer.batch import Source
from query_api.materializer.rows import Record
from query_api.materializer.traces import committing
from runtime import tracing
from runtime.trace_context import TraceContext, headers_of
from schemas.topics import EVENTS, INCIDENTS
from tests.support.span_recorder import MemoryRecorder


def context(number: int, *, sampled: bool = True) -> TraceContext:
    return TraceContext(f"{number:032x}", f"{number:016x}", int(sampled))


def fetched(topic: str, *contexts: TraceContext | None) -> dict[Source, list[Record]]:
    return {Source(topic, 0): [Record(topic, 0, n, 0, b"", headers_of(found)) for n, found in enumerate(contexts)]}


def test_a_batch_is_linked_to_all_its_senders_and_each_incident_continues_its_own_trace() -> None:
    """Events are linked only: there are too many."""
    recorder = MemoryRecorder()
    batch = fetched(EVENTS, context(10), context(11)) | fetched(
        INCIDENTS, None, context(12), context(12, sampled=False)
    )
    with tracing.recording(recorder), committing(batch):
        pass
    commit, shown = recorder.spans
    assert (commit.name, commit.parent, commit.links) == ("commit view", None, [context(10), context(11), context(12)])
    assert (shown.name, shown.parent, shown.links) == ("process ops.incidents", context(12), [commit.context])
    assert shown.attributes["messaging.kafka.offset"] == 1
    assert (commit.ended, shown.ended) == (1, 1)


def test_a_batch_that_nobody_samples_is_no_span() -> None:
    """With contexts that say no, and without any."""
    recorder = MemoryRecorder()
    with tracing.recording(recorder):
        with committing(fetched(INCIDENTS, context(1, sampled=False))):
            pass
        with committing(fetched(EVENTS, None)):
            pass
    assert recorder.spans == []


def test_a_storm_of_incidents_in_one_batch_is_so_many_spans_and_no_more() -> None:
    """The newest; a transaction waits for none of them."""
    recorder = MemoryRecorder()
    with tracing.recording(recorder), committing(fetched(INCIDENTS, *map(context, range(1, 1_001)))):
        pass
    assert len(recorder.spans) == 1 + tracing.MOST_LINKS
