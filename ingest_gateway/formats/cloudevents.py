"""CloudEvents 1.0 over HTTP as events: structured, binary and batched.

Sources: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md, bindings/http-protocol-binding.md and
formats/json-format.md beside it. `source` and `id` together name an event, so what is sent again counts once.
"""

import base64
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import unquote

from ingest_gateway import refusal
from ingest_gateway.formats.fields import as_message, as_text, attributes_of, parse_json
from ingest_gateway.formats.identity import derived_id
from ingest_gateway.reading import Batch, check_count, collect
from schemas.event import MAX_SERVICE, Event, FieldError, InvalidEvent, event_from_object
from schemas.levels import fold_level

STRUCTURED: Final = "application/cloudevents+json"
BATCHED: Final = "application/cloudevents-batch+json"

_REQUIRED: Final = ("id", "source", "specversion", "type")
_OWN: Final = frozenset({*_REQUIRED, "time", "subject", "datacontenttype", "dataschema", "data", "data_base64"})
_FIELDS: Final = ("service", "level", "message", "timestamp", "trace_id", "span_id", "host", "environment")
"""Fields of an event that `data` may hold; what else it holds becomes attributes."""
_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")


def read_structured(body: bytes, received_at: int) -> Batch:
    """The event of a body that is one CloudEvent in JSON.

    Raises:
        Refusal: 400 where the body is no JSON.
    """
    value = parse_json(body)
    return collect([lambda: _event(value, received_at)])


def read_batched(body: bytes, received_at: int) -> Batch:
    """The events of a body that is an array of CloudEvents in JSON; it may be empty.

    Raises:
        Refusal: 400 where the body is no JSON, 422 where it is no array, 413 where it holds too many.
    """
    values = parse_json(body)
    if not isinstance(values, list):
        raise refusal.invalid(f"Expected a JSON array of CloudEvents; send a single one as {STRUCTURED}")
    check_count(len(values))
    return collect(lambda value=value: _event(value, received_at) for value in values)  # type: ignore[misc]


def read_binary(headers: Iterable[tuple[bytes, bytes]], media_type: str, body: bytes, received_at: int) -> Batch:
    """The event whose attributes are the headers `ce-...` and whose data is the body.

    Raises:
        Refusal: 400 where the body is declared as JSON and is none.
    """
    value: dict[str, Any] = {
        name.decode("latin-1")[3:]: unquote(text.decode("latin-1").strip().strip('"'))
        for name, text in headers
        if name.startswith(b"ce-")
    }
    if body:
        value["data"] = parse_json(body) if _is_json(media_type) else body.decode("utf-8", "replace")
    return collect([lambda: _event(value, received_at)])


def is_binary(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether the headers say that the request is a CloudEvent in binary mode."""
    return any(name == b"ce-specversion" for name, _ in headers)


def _event(value: Any, received_at: int) -> Event:
    if not isinstance(value, dict):
        raise InvalidEvent([FieldError("", "expected a CloudEvent: a JSON object")])
    errors = [
        FieldError(name, "is required: a string that is not empty")
        for name in _REQUIRED
        if not isinstance(value.get(name), str) or not value[name]
    ]
    if not errors and value["specversion"] != "1.0":
        errors = [FieldError("specversion", "expected 1.0")]
    if errors:
        raise InvalidEvent(errors)
    fields = _fields(value, _data(value))
    name = derived_id("cloudevents", value["source"], value["id"])
    return event_from_object(fields, default_id=name, received_at=received_at)


def _data(value: Mapping[str, Any]) -> Any:
    packed = value.get("data_base64")
    if packed is None:
        return value.get("data")
    try:
        return base64.b64decode(packed, validate=True).decode("utf-8", "replace")
    except (ValueError, TypeError) as error:
        raise InvalidEvent([FieldError("data_base64", "expected base64")]) from error


def _fields(value: Mapping[str, Any], data: Any) -> dict[str, Any]:
    """The fields of the event: what `data` says, else what the attributes of the CloudEvent tell."""
    own = {name: data[name] for name in _FIELDS if data.get(name) is not None} if isinstance(data, dict) else {}
    extensions = {name: text for name, text in value.items() if name not in _OWN}
    trace = _TRACEPARENT.match(str(extensions.get("traceparent", "")))
    found = {
        "service": extensions.get("service") or _service(value["source"]),
        "level": _level(extensions),
        "message": _message(value, data),
        "timestamp": value.get("time"),
        "trace_id": trace and trace[1],
        "span_id": trace and trace[2],
    }
    rest = [(name, item) for name, item in data.items() if name not in _FIELDS] if isinstance(data, dict) else []
    told = [(f"cloudevents.{name}", value.get(name)) for name in ("type", "source", "id", "subject")]
    more = [(f"cloudevents.{name}", item) for name, item in extensions.items()]
    return {**found, **own, "attributes": attributes_of([*_attributes(rest), *told, *more])}


def _attributes(rest: list[tuple[str, Any]]) -> Iterable[tuple[str, Any]]:
    """What else the data holds; attributes that are an object of their own are taken out of it."""
    for name, item in rest:
        if name == "attributes" and isinstance(item, dict):
            yield from item.items()
        elif name != "id":
            yield name, item


def _service(source: str) -> str:
    """The last part of the path of `source`, which names where the event comes from."""
    parts = [part for part in re.split(r"[/:?#]", source) if part]
    return (parts[-1] if parts else source)[:MAX_SERVICE]


def _level(extensions: Mapping[str, Any]) -> str:
    said = (str(extensions.get(name, "")) for name in ("level", "severity"))
    return next((text for text in said if fold_level(text)), "INFO")


def _message(value: Mapping[str, Any], data: Any) -> str:
    otherwise = " ".join(filter(None, (value["type"], str(value.get("subject") or ""))))
    return as_message("" if data is None else as_text(data), otherwise)


def _is_json(media_type: str) -> bool:
    return media_type == "" or media_type.endswith(("/json", "+json"))
