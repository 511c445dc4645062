"""The routes for foreign protocols in OpenAPI: what they take is described where it is defined, and shown here."""

from typing import Any, Final

from ingest_gateway.format_routes import ALERTS_PATH, CLOUDEVENTS_PATH, OTLP_PATH, RECORDS_PATH
from ingest_gateway.formats import otlp_answer
from ingest_gateway.formats.cloudevents import BATCHED, STRUCTURED
from ingest_gateway.routes import JSON, NDJSON

_TAG: Final = "what producers already speak"
_OBJECT: Final[dict[str, Any]] = {"type": "object"}
_LOGS: Final[dict[str, Any]] = {
    "resourceLogs": [
        {
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "checkout"}}]},
            "scopeLogs": [
                {
                    "logRecords": [
                        {
                            "timeUnixNano": "1674981742383150000",
                            "severityNumber": 17,
                            "severityText": "ERROR",
                            "body": {"stringValue": "payment gateway timed out"},
                            "traceId": "4bf92f3577b34da6a3ce929d0e0e4736",
                            "spanId": "00f067aa0ba902b7",
                        }
                    ]
                }
            ],
        }
    ]
}
_RECORD: Final[dict[str, Any]] = {
    "@timestamp": "2023-01-29T08:42:22.383Z",
    "log.level": "error",
    "message": "payment gateway timed out",
    "service": {"name": "checkout"},
    "host": {"name": "web-3"},
}
_LINES: Final = (
    '{"date": 1674981742.383, "log": "payment gateway timed out", "level": "error", "app": "checkout"}\n'
    '{"date": 1674981742.4, "log": "order placed", "level": "info", "app": "checkout"}\n'
)
_NOTIFICATION: Final[dict[str, Any]] = {
    "version": "4",
    "groupKey": '{}:{alertname="HighErrorRate"}',
    "status": "firing",
    "receiver": "ops-assist",
    "groupLabels": {"alertname": "HighErrorRate"},
    "commonLabels": {},
    "commonAnnotations": {},
    "externalURL": "http://alertmanager:9093",
    "alerts": [
        {
            "status": "firing",
            "labels": {"alertname": "HighErrorRate", "service": "checkout", "severity": "critical"},
            "annotations": {"summary": "5% of requests fail"},
            "startsAt": "2023-01-29T08:42:22.383Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus:9090/graph",
            "fingerprint": "c0ffee0123456789",
        }
    ],
}
_CLOUDEVENT: Final[dict[str, Any]] = {
    "specversion": "1.0",
    "id": "A234-1234-1234",
    "source": "/shops/checkout",
    "type": "com.example.payment.failed",
    "time": "2023-01-29T08:42:22.383Z",
    "datacontenttype": "application/json",
    "data": {"level": "ERROR", "message": "payment gateway timed out", "order": 17},
}
_NOTIFIED: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["version", "alerts"],
    "properties": {
        "version": {"const": "4"},
        "alerts": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["status", "labels", "startsAt"],
                "properties": {
                    "status": {"enum": ["firing", "resolved"]},
                    "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                    "annotations": {"type": "object", "additionalProperties": {"type": "string"}},
                    "startsAt": {"type": "string", "format": "date-time"},
                    "endsAt": {"type": "string", "format": "date-time"},
                    "generatorURL": {"type": "string"},
                    "fingerprint": {"type": "string"},
                },
            },
        },
    },
}
_CLOUDEVENT_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["specversion", "id", "source", "type"],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "minLength": 1},
        "source": {"type": "string", "minLength": 1},
        "type": {"type": "string", "minLength": 1},
        "time": {"type": "string", "format": "date-time"},
        "subject": {"type": "string"},
        "data": {},
    },
}


def format_paths(parameters: list[dict[str, Any]], answers: dict[str, Any]) -> dict[str, Any]:
    """The path items.

    Args:
        parameters: the headers that every route of the gateway takes.
        answers: what a batch is answered with, by status.
    """
    return {
        OTLP_PATH: {"post": _otlp(parameters)},
        RECORDS_PATH: {"post": _records(parameters, answers)},
        ALERTS_PATH: {"post": _alerts(parameters, answers)},
        CLOUDEVENTS_PATH: {"post": _cloudevents(parameters, answers)},
    }


def _otlp(parameters: list[dict[str, Any]]) -> dict[str, Any]:
    binary = {"schema": {"type": "string", "format": "binary"}}
    status = {"code": 3, "message": "The body is no ExportLogsServiceRequest in protobuf"}
    errors = {
        "400": "It is no request of OTLP; sending it again does not help.",
        "408": "The body did not arrive in time.",
        "413": "More than 8 MiB or 10,000 records.",
        "415": "Another media type, charset or encoding.",
        "503": "The broker cannot be reached; send it again after `Retry-After` seconds.",
    }
    return {
        "tags": [_TAG],
        "operationId": "otlp_logs",
        "summary": "Logs over OTLP/HTTP",
        "description": "ExportLogsServiceRequest as protobuf or JSON. The answer has the form of the request.",
        "parameters": parameters,
        "requestBody": {
            "required": True,
            "content": {JSON: {"schema": _OBJECT, "example": _LOGS}, otlp_answer.PROTOBUF: binary},
        },
        "responses": {
            "200": {
                "description": "Written, but for `partialSuccess.rejectedLogRecords` records.",
                "content": {JSON: {"schema": _OBJECT, "example": {}}, otlp_answer.PROTOBUF: binary},
            }
        }
        | {
            code: {"description": text, "content": {JSON: {"schema": _OBJECT, "example": status}}}
            for code, text in errors.items()
        },
    }


def _records(parameters: list[dict[str, Any]], answers: dict[str, Any]) -> dict[str, Any]:
    return {
        "tags": [_TAG],
        "operationId": "shipper_records",
        "summary": "Records of log shippers",
        "description": (
            "JSON objects as Fluent Bit, Vector, Logstash, Filebeat and loggers write them: one, an array, or one a "
            "line. Fields are found under the names that these give them."
        ),
        "parameters": [_parameter("service", "The service of records that name none."), *parameters],
        "requestBody": {
            "required": True,
            "content": {
                JSON: {"schema": {"type": "array", "items": _OBJECT}, "example": [_RECORD]},
                NDJSON: {"schema": {"type": "string"}, "example": _LINES},
            },
        },
        "responses": answers,
    }


def _alerts(parameters: list[dict[str, Any]], answers: dict[str, Any]) -> dict[str, Any]:
    return {
        "tags": [_TAG],
        "operationId": "alertmanager_notification",
        "summary": "A notification of Prometheus' Alertmanager",
        "description": "The webhook's body, version 4. An alert that fires is an event of level ERROR or CRITICAL.",
        "parameters": [
            _parameter("service_label", "The label that names the service; default: the first of some that is there."),
            *parameters,
        ],
        "requestBody": {"required": True, "content": {JSON: {"schema": _NOTIFIED, "example": _NOTIFICATION}}},
        "responses": answers,
    }


def _cloudevents(parameters: list[dict[str, Any]], answers: dict[str, Any]) -> dict[str, Any]:
    return {
        "tags": [_TAG],
        "operationId": "cloudevents",
        "summary": "CloudEvents 1.0",
        "description": "Structured or batched JSON, or binary: headers `ce-...` and the data as body.",
        "parameters": parameters,
        "requestBody": {
            "required": True,
            "content": {
                STRUCTURED: {"schema": _CLOUDEVENT_SCHEMA, "example": _CLOUDEVENT},
                BATCHED: {"schema": {"type": "array", "items": _CLOUDEVENT_SCHEMA}, "example": [_CLOUDEVENT]},
            },
        },
        "responses": answers,
    }


def _parameter(name: str, description: str) -> dict[str, Any]:
    schema = {"type": "string", "maxLength": 100}
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}
