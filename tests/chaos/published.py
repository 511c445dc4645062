"""Whether the records that lie in topics are what is published of them."""

import json
from collections.abc import Iterator

from confluent_kafka import Message
from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # it ships no types

from runtime.published.asyncapi import document
from runtime.published.json_schemas import schema_of
from runtime.published.kinds import Kind
from schemas import codec
from schemas.event import InvalidEvent
from tests.chaos.topic_access import records
from tests.support.pipeline import Pipeline


def looked_at(pipeline: Pipeline, kind: Kind) -> int:
    """How many records of a topic there are, each checked against its schema and that of its headers."""
    headers = Draft202012Validator(document()["components"]["messages"][kind.name].get("headers", {}))
    values = Draft202012Validator(schema_of(kind))
    count = 0
    for message in records(pipeline, kind.topic):
        count += 1
        headers.validate(dict(_headers(message)))
        if kind.value is not None and (kind.name != "events" or _is_readable(message)):
            values.validate(json.loads(message.value() or b""))
    return count


def _headers(message: Message) -> Iterator[tuple[str, str]]:
    for header in message.headers() or []:
        name, value = str(header[0]), header[1]
        assert isinstance(value, bytes)
        yield name, value.decode()


def _is_readable(message: Message) -> bool:
    """Whether it is what the topic is for: anybody may write anything into it, and that becomes a dead letter."""
    place = codec.Place(message.topic() or "", 0, message.offset() or 0, message.timestamp()[1] * 1_000)
    try:
        return all(not isinstance(event, InvalidEvent) for _, event in codec.decode_events(message.value(), place))
    except codec.UnreadableRecord:
        return False
