"""The AsyncAPI 3.0 document: topics as channels, with their keys, headers and settings."""

from typing import Any, Final

from runtime.health import VERSION
from runtime.published.kinds import KINDS, Kind, file_of
from schemas.topics import TOPICS, Header, TopicSpec

_FORMAT: Final = "application/schema+json;version=draft-2020-12"
_BINDING: Final = "0.5.0"

_HEADERS: Final[dict[str, str]] = {
    Header.REASON: "Why it is here, as one word.",
    Header.DETAIL: "The same as a sentence.",
    Header.TOPIC: "The topic in which it lay.",
    Header.PARTITION: "The partition in which it lay.",
    Header.OFFSET: "The offset at which it lay.",
    Header.INDEX: "Its place in the array, where it was one of several events of a record.",
    Header.TIMESTAMP: "When the broker received it, in milliseconds since the epoch.",
    Header.RETRIES: "How often a person has sent it again, where one has.",
}
_MAY_BE_MISSING: Final = frozenset({Header.INDEX, Header.RETRIES})
_WRITTEN_BY: Final = {
    "events": "producers, the gateway, and the processor, which moves what lies in the wrong partition",
    "late-events": "the processor",
    "dead-letter": "the processor",
    "incident": "the processor",
    "incident-events": "the processor",
    "analysis": "the analyzer",
    "analysis-request": "the query API",
    "status-change": "the query API",
    "correction": "the query API",
    "missed-incident": "the query API",
    "letter-decision": "the command line",
    "canary-incident": "the processor",
}
_OPEN: Final = frozenset({"events"})
"""What other programs may send; everything else they may only receive."""


def document() -> dict[str, Any]:
    """The document as JSON-ready data."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Ops-Assist",
            "version": VERSION,
            "description": "The topics of the pipeline. Readers ignore fields that they do not know. "
            "Written by `python -m runtime.published`.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {kind.name: _channel(kind) for kind in KINDS},
        "operations": {name: operation for kind in KINDS for name, operation in _operations(kind)},
        "components": {"messages": {kind.name: _message(kind) for kind in KINDS}},
    }


def _channel(kind: Kind) -> dict[str, Any]:
    topic = next(topic for topic in TOPICS if topic.name == kind.topic)
    return {
        "address": kind.topic,
        "description": f"{kind.summary} Written by {_WRITTEN_BY[kind.name]}.",
        "messages": {kind.name: {"$ref": f"#/components/messages/{kind.name}"}},
        "bindings": {"kafka": {"topic": kind.topic, **_settings(topic), "bindingVersion": _BINDING}},
    }


def _settings(topic: TopicSpec) -> dict[str, Any]:
    """What the binding knows of a topic's settings, each in its type."""
    kept: dict[str, Any] = {"cleanup.policy": topic.config["cleanup.policy"].split(",")}
    kept |= {name: int(topic.config[name]) for name in ("retention.ms", "max.message.bytes") if name in topic.config}
    return {"topicConfiguration": kept}


def _operations(kind: Kind) -> list[tuple[str, dict[str, Any]]]:
    """What another program may do."""
    channel = {"channel": {"$ref": f"#/channels/{kind.name}"}}
    reads = [(f"receive-{kind.name}", {"action": "receive", **channel, "summary": f"Read {kind.topic}."})]
    if kind.name not in _OPEN:
        return reads
    return [(f"send-{kind.name}", {"action": "send", **channel, "summary": f"Write to {kind.topic}."}), *reads]


def _message(kind: Kind) -> dict[str, Any]:
    message: dict[str, Any] = {
        "name": kind.name,
        "summary": kind.summary,
        "bindings": {"kafka": {"key": {"type": "string", "description": kind.key}, "bindingVersion": _BINDING}},
    }
    if kind.has_reason:
        message["headers"] = _header_schema()
    if kind.value is None:
        return message | {"contentType": "application/octet-stream"}
    return message | {"payload": {"schemaFormat": _FORMAT, "schema": {"$ref": f"./schemas/{file_of(kind)}"}}}


def _header_schema() -> dict[str, Any]:
    return {
        "type": "object",
        "required": [name for name in _HEADERS if name not in _MAY_BE_MISSING],
        "properties": {name: {"type": "string", "description": text} for name, text in _HEADERS.items()},
    }
