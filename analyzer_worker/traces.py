"""Spans of the analysis: one for each incident's rules or model, one for each call of a model; never what was said."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final

from analyzer_worker.litellm_adapter import MAX_ANSWER_TOKENS, Reply
from analyzer_worker.progress import Partition
from runtime import tracing
from runtime.logging import about
from runtime.trace_context import TraceContext
from schemas.incident import Incident
from schemas.topics import INCIDENTS

SERVICE: Final = "analyzer_worker"
"""The scope of the analyzer's spans."""

_GROUP: Final = "ops-analyzer"
# Where the conventions call a provider otherwise than litellm does:
# https://opentelemetry.io/docs/specs/semconv/registry/attributes/gen-ai/
_PROVIDERS: Final = {
    "azure": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "vertex_ai": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}


@contextmanager
def analyzing(
    by: str, incident: Incident, place: tuple[Partition, int] | None, parent: TraceContext | None
) -> Iterator[None]:
    """The analysis of an incident by `rules` or a `model`; `place`: the record that asked for it, if one did."""
    topic, partition, offset = (*place[0], place[1]) if place else (INCIDENTS, incident.partition, None)
    attributes: dict[str, tracing.Value] = {
        **tracing.of_record(topic, partition, offset, operation="process", group=_GROUP),
        "ops.incident.key": incident.key,
        "ops.incident.rule": incident.rule,
        "ops.incident.service": incident.service,
        "ops.analysis.by": by,
    }
    name = f"process {topic}" if by == "rules" else f"analyze by {by}"
    kind: tracing.Kind = "consumer" if by == "rules" else "internal"
    with about(topic, partition, offset), tracing.span(SERVICE, name, kind, parent=parent, attributes=attributes):
        yield


def calling(model: str, parent: TraceContext | None) -> AbstractContextManager[tracing.Span]:
    """One call of a model, as litellm names it."""
    provider, _, name = model.rpartition("/") if "/" in model else ("openai", "", model)
    provider = provider.partition("/")[0]
    attributes: dict[str, tracing.Value] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": _PROVIDERS.get(provider, provider),
        "gen_ai.request.model": name,
        "gen_ai.request.max_tokens": MAX_ANSWER_TOKENS,
        "gen_ai.output.type": "json",
    }
    return tracing.span(SERVICE, f"chat {name}", "client", parent=parent, attributes=attributes)


def replied(call: tracing.Span, reply: Reply) -> None:
    """What a model's reply has used, and why it ended."""
    call.set("gen_ai.usage.input_tokens", reply.input_tokens)
    call.set("gen_ai.usage.output_tokens", reply.output_tokens)
    call.set("gen_ai.response.finish_reasons", [reply.finish_reason])
