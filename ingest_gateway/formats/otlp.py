"""OTLP/HTTP logs as events: `ExportLogsServiceRequest`, in protobuf and in JSON.

Sources: the protocol, https://opentelemetry.io/docs/specs/otlp/#otlphttp; the data model and what severity numbers
mean, https://opentelemetry.io/docs/specs/otel/logs/data-model/ ; names of attributes, the semantic conventions.
"""

import base64
import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from google.protobuf import json_format
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from ingest_gateway import refusal
from ingest_gateway.event_ids import IdFor
from ingest_gateway.formats.fields import as_message, as_text, attributes_of
from ingest_gateway.reading import Batch, check_count, collect
from schemas.event import Event, WireEvent, to_event
from schemas.levels import Level, fold_level
from schemas.timestamps import to_datetime

UNKNOWN_SERVICE: Final = "unknown_service"
"""What the semantic conventions call a service that has no `service.name`."""

_BANDS: Final[tuple[Level, ...]] = ("DEBUG", "DEBUG", "INFO", "WARNING", "ERROR", "FATAL")
"""Levels of the severity numbers 1 to 4, 5 to 8 and so on."""
_ERROR_NUMBER: Final = 17
_NANOSECONDS: Final = 1_000
_LATEST: Final = 253_402_300_799_999_999
"""The last microsecond that a datetime can hold."""
_IDS: Final = frozenset({"traceId", "trace_id", "spanId", "span_id"})
_PLACED: Final = frozenset({"service.name", "host.name", "deployment.environment.name", "deployment.environment"})
"""Resource attributes that have a field of their own."""


def decode_protobuf(body: bytes) -> ExportLogsServiceRequest:
    """The request of a protobuf body.

    Raises:
        Refusal: 400 where it is none.
    """
    try:
        request: ExportLogsServiceRequest = ExportLogsServiceRequest.FromString(body)
    except DecodeError as error:
        raise refusal.malformed("The body is no ExportLogsServiceRequest in protobuf") from error
    return request


def decode_json(body: bytes) -> ExportLogsServiceRequest:
    """The request of a JSON body, in which ids of traces and spans are hex and not base64 as protobuf's JSON has it.

    Raises:
        Refusal: 400 where it is none.
    """
    try:
        value = json.loads(body, parse_constant=_refuse_constant)
        if not isinstance(value, dict):
            raise refusal.malformed("The body is no ExportLogsServiceRequest: expected a JSON object")
        _ids_to_base64(value)
        request: ExportLogsServiceRequest = json_format.ParseDict(
            value, ExportLogsServiceRequest(), ignore_unknown_fields=True
        )
    except (ValueError, TypeError, RecursionError, json_format.ParseError) as error:
        raise refusal.malformed(f"The body is no ExportLogsServiceRequest in JSON: {error}") from error
    return request


def is_timed(request: ExportLogsServiceRequest) -> bool:
    """Whether every record tells when it was written: then two equal requests are one that was sent again."""
    return all(_moment(record) for _, record in _records(request))


def read_logs(request: ExportLogsServiceRequest, id_for: IdFor, received_at: int) -> Batch:
    """The events of a request.

    Args:
        request: the decoded request.
        id_for: gives the id of the record at an index of the request.
        received_at: microseconds since the epoch.

    Raises:
        Refusal: 413 where there are too many.
    """
    records = list(_records(request))
    check_count(len(records))

    def read(index: int, resource: dict[str, Any], record: LogRecord) -> Event:
        return to_event(_wire(resource, record), default_id=id_for(index), received_at=received_at)

    return collect(
        lambda index=index, resource=resource, record=record: read(index, resource, record)  # type: ignore[misc]
        for index, (resource, record) in enumerate(records)
    )


def _records(request: ExportLogsServiceRequest) -> Iterator[tuple[dict[str, Any], LogRecord]]:
    for logs in request.resource_logs:
        resource = dict(_pairs(logs.resource.attributes))
        for scope in logs.scope_logs:
            for record in scope.log_records:
                yield resource, record


def _wire(resource: dict[str, Any], record: LogRecord) -> WireEvent:
    own = dict(_pairs(record.attributes))
    body = as_text(value) if (value := _value(record.body)) is not None else ""
    rest = ((name, value) for name, value in resource.items() if name not in _PLACED)
    moment = min(_moment(record) // _NANOSECONDS, _LATEST)
    return WireEvent(
        service=_text(resource.get("service.name")) or UNKNOWN_SERVICE,
        level=_level(record),
        message=as_message(body, _otherwise(record, own)),
        timestamp=to_datetime(moment) if moment else None,
        attributes=attributes_of([*own.items(), *rest]),
        trace_id=record.trace_id.hex() if any(record.trace_id) else None,
        span_id=record.span_id.hex() if any(record.span_id) else None,
        host=_text(resource.get("host.name")),
        environment=_text(resource.get("deployment.environment.name", resource.get("deployment.environment"))),
    )


def _moment(record: LogRecord) -> int:
    """When it was written, else when it was observed, in nanoseconds since the epoch; 0: not told."""
    return record.time_unix_nano or record.observed_time_unix_nano


def _level(record: LogRecord) -> Level:
    """The level of the severity number; the text where there is no number, or where it says CRITICAL of an error."""
    number, text = record.severity_number, fold_level(record.severity_text)
    if not 1 <= number <= len(_BANDS) * 4:
        return text or "INFO"
    if number >= _ERROR_NUMBER and text == "CRITICAL":
        return text
    return _BANDS[(number - 1) // 4]


def _otherwise(record: LogRecord, own: dict[str, Any]) -> str:
    """What to call a record without a body."""
    said = (own.get("exception.message"), own.get("exception.type"), record.event_name)
    return next((text for text in map(_text, said) if text), "(no body)")


def _text(value: Any) -> str | None:
    return None if value is None or value == "" else as_text(value)


def _pairs(attributes: Iterable[KeyValue]) -> Iterator[tuple[str, Any]]:
    return ((pair.key, _value(pair.value)) for pair in attributes)


def _value(value: AnyValue) -> Any:
    """An `AnyValue` as a value of JSON; None where it is unset."""
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return dict(_pairs(value.kvlist_value.values))
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    return getattr(value, kind)


def _ids_to_base64(value: Any) -> None:
    """Write the hex ids of log records in the form in which protobuf's JSON takes bytes, in place."""
    for logs in _lists(value, "resourceLogs", "resource_logs"):
        for scope in _lists(logs, "scopeLogs", "scope_logs"):
            for record in _lists(scope, "logRecords", "log_records"):
                for name in _IDS.intersection(record):
                    record[name] = base64.b64encode(bytes.fromhex(record[name])).decode()


def _lists(value: dict[str, Any], *names: str) -> Iterator[dict[str, Any]]:
    for name in names:
        yield from (item for item in value.get(name) or () if isinstance(item, dict))


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
