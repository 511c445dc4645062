"""Spans of the analysis: the calls of models by the conventions' names, and nothing of what is said."""

import pytest

from analyzer_worker.asking import Bill
from analyzer_worker.model import Model
from analyzer_worker.model_errors import Permanent
from analyzer_worker.traces import analyzing, calling
from runtime import tracing
from runtime.trace_context import TraceContext, under
from tests.support.span_recorder import MemoryRecorder
from tests.unit.analyzer_worker.test_asking import INCIDENT, SAMPLES, Scripted, failing, good

CONTEXT = TraceContext("a" * 32, "b" * 16, 1)


@pytest.mark.parametrize(
    ("model", "provider", "name"),
    [
        ("openai/gpt-4o-mini", "openai", "gpt-4o-mini"),
        ("gpt-4o", "openai", "gpt-4o"),
        ("bedrock/converse/anthropic.claude", "aws.bedrock", "anthropic.claude"),
        ("ollama/llama3", "ollama", "llama3"),
    ],
)
def test_a_model_is_named_as_the_conventions_name_it(model: str, provider: str, name: str) -> None:
    """By its provider and its own name."""
    recorder = MemoryRecorder()
    with tracing.recording(recorder), calling(model, CONTEXT):
        pass
    (span,) = recorder.spans
    assert (span.name, span.kind, span.parent) == (f"chat {name}", "client", CONTEXT)
    assert (span.attributes["gen_ai.provider.name"], span.attributes["gen_ai.request.model"]) == (provider, name)


async def test_each_call_of_a_model_is_a_span_with_its_tokens_and_no_text() -> None:
    """Of the call that failed too, by the type of its error."""
    recorder = MemoryRecorder()
    first, second = Scripted("openai/a", failing(Permanent("no pool"))), Scripted("anthropic/b", good)
    with tracing.recording(recorder), under(CONTEXT):
        await Model(first, 30, fallbacks=[second]).analyze(INCIDENT, SAMPLES, "P3", Bill())
    failed, kept = recorder.spans
    assert (failed.name, failed.error, failed.parent) == ("chat a", Permanent.__name__, CONTEXT)
    assert (kept.name, kept.error, kept.parent) == ("chat b", None, CONTEXT)
    assert kept.attributes["gen_ai.usage.output_tokens"] > 0
    assert kept.attributes["gen_ai.response.finish_reasons"] == ["stop"]
    assert not any("pool" in str(value) for span in recorder.spans for value in span.attributes.values())


def test_an_analysis_nobody_asked_for_in_a_record_begins_a_trace() -> None:
    """As when the time of a retry has come; it says which incident it is about."""
    recorder = MemoryRecorder()
    with tracing.recording(recorder), analyzing("model", INCIDENT, None, None):
        pass
    (span,) = recorder.spans
    assert (span.name, span.kind, span.parent) == ("analyze by model", "internal", None)
    assert span.attributes["ops.incident.key"] == INCIDENT.key
    assert "messaging.kafka.offset" not in span.attributes
