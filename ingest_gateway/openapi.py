"""The routes in OpenAPI: they read raw bodies, so FastAPI cannot describe them by itself."""

from http import HTTPStatus
from typing import Any, Final

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from ingest_gateway.accept import BATCH_PATH, EVENTS_PATH, AcceptedBatch, AcceptedEvent
from ingest_gateway.openapi_formats import format_paths
from ingest_gateway.routes import JSON, NDJSON
from runtime.problem import MEDIA_TYPE
from schemas.event import FieldError, WireEvent

_REFS: Final = "#/components/schemas/{name}"
_PROBLEM: Final = "Problem"
_TAG: Final = "events"

_EVENT: Final[dict[str, Any]] = {
    "service": "user-service",
    "level": "ERROR",
    "message": "Database connection pool exhausted: 50 of 50 in use",
}
_FULL_EVENT: Final[dict[str, Any]] = _EVENT | {
    "timestamp": "2023-01-29T08:42:22.383Z",
    "id": "4f1c0c9e-17",
    "attributes": {"pool": "primary", "in_use": 50, "saturated": True},
    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    "host": "db-client-3",
    "environment": "production",
}
_LINES: Final = (
    '{"service": "user-service", "level": "ERROR", "message": "first"}\n'
    '{"service": "api-gateway", "level": "WARN", "message": "second"}\n'
)
_ACCEPTED: Final = _EVENT | {
    "id": "01860b4d-5c6f-7d3a-9c1e-2f6b8a0d4e57",
    "timestamp": "2023-01-29T08:42:22.383000Z",
    "incident_id": None,
}

_UNAVAILABLE: Final = (
    "The broker cannot be reached or does not acknowledge, or the buffer is full. Send it again after `Retry-After` "
    "seconds. Where `detail` says that it may have been written, send it with the `id` or `ids` that the answer gives, "
    "so that it counts once."
)
_RETRY_AFTER: Final = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
_ERRORS: Final = [{"field": "message", "message": "is required: a string of 1 to 32768 characters"}]
_PROBLEMS: Final[dict[str, tuple[str, str]]] = {
    "400": (
        "The body is not valid JSON.",
        "The body is not valid JSON: invalid character at line 1, column 5 (byte 4)",
    ),
    "408": ("The body did not arrive in time.", "The body was not complete after 30 s; nothing was written"),
    "413": ("More than 8 MiB, more than 10,000 events, or an event larger than a record.", "The body is over 8 MiB"),
    "415": ("Another media type, charset or encoding.", "Content-Type text/plain is not read here"),
    "422": ("An event breaks the rules; `errors` says how.", "The event was not accepted: message is required"),
    "503": (_UNAVAILABLE, "Nothing was written: the broker cannot be reached; send it again"),
}


def describe(app: FastAPI) -> None:
    """Make `app.openapi` include the routes."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(title=app.title, version=app.version, routes=app.routes)
            schema["paths"] = event_paths() | schema["paths"]
            schema.setdefault("components", {}).setdefault("schemas", {}).update(_components())
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign] # FastAPI's documented way to extend the schema


def event_paths() -> dict[str, Any]:
    """The path items of all routes."""
    own = {EVENTS_PATH: {"post": _single()}, BATCH_PATH: {"post": _batch()}}
    return own | format_paths(_parameters(), _batch_answers())


def _single() -> dict[str, Any]:
    examples = {
        "smallest": {"summary": "What is required", "value": _EVENT},
        "full": {"summary": "Every field", "value": _FULL_EVENT},
    }
    return {
        "tags": [_TAG],
        "operationId": "send_event",
        "summary": "Send one event",
        "description": "Answers 201 once the broker has the event on all in-sync replicas, never before.",
        "parameters": _parameters(),
        "requestBody": {
            "required": True,
            "content": {JSON: {"schema": _ref("WireEvent"), "examples": examples}},
        },
        "responses": {
            "201": _answer("The event was written.", "AcceptedEvent", _ACCEPTED),
        }
        | _problems(),
    }


def _batch() -> dict[str, Any]:
    return {
        "tags": [_TAG],
        "operationId": "send_events",
        "summary": "Send up to 10,000 events",
        "description": (
            "A JSON array, or one JSON object a line. Events that break the rules are rejected one by one; the "
            "others are written. Answers once the broker has them all."
        ),
        "parameters": _parameters(),
        "requestBody": {
            "required": True,
            "content": {
                JSON: {
                    "schema": {"type": "array", "items": _ref("WireEvent"), "maxItems": 10_000},
                    "example": [_EVENT, _FULL_EVENT],
                },
                NDJSON: {"schema": {"type": "string"}, "example": _LINES},
            },
        },
        "responses": _batch_answers(),
    }


def _batch_answers() -> dict[str, Any]:
    rejected = {"index": 1, "errors": [{"field": "message", "message": "is required"}]}
    some = {"accepted": 1, "rejected": [rejected]}
    return {
        "201": _answer("All events were written.", "AcceptedBatch", {"accepted": 2, "rejected": []}),
        "207": _answer("Some were rejected, the others written.", "AcceptedBatch", some),
    } | _problems()


def _parameters() -> list[dict[str, Any]]:
    return [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "description": (
                "Names this attempt: events without an id get ids that are the same whenever the same body is sent "
                "again under the same key, so that they count once."
            ),
            "schema": {"type": "string"},
        },
        {
            "name": "Content-Encoding",
            "in": "header",
            "required": False,
            "description": "gzip, where the body is packed.",
            "schema": {"type": "string", "enum": ["gzip"]},
        },
    ]


def _answer(description: str, schema: str, example: Any) -> dict[str, Any]:
    return {"description": description, "content": {JSON: {"schema": _ref(schema), "example": example}}}


def _problems() -> dict[str, Any]:
    answers = {status: _problem(int(status), *texts) for status, texts in _PROBLEMS.items()}
    answers["422"]["content"][MEDIA_TYPE]["example"]["errors"] = _ERRORS
    answers["503"]["headers"] = _RETRY_AFTER
    return answers


def _problem(status: int, description: str, detail: str) -> dict[str, Any]:
    example = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    return {"description": description, "content": {MEDIA_TYPE: {"schema": _ref(_PROBLEM), "example": example}}}


def _components() -> dict[str, Any]:
    _, schemas = msgspec.json.schema_components(
        [WireEvent, AcceptedEvent, AcceptedBatch, FieldError], ref_template=_REFS
    )
    return schemas | {_PROBLEM: _problem_schema()}


def _problem_schema() -> dict[str, Any]:
    return {
        "title": "Problem (RFC 9457)",
        "type": "object",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string", "description": "A sentence that says what is wrong and what to do."},
            "errors": {"type": "array", "items": _ref("FieldError"), "description": "Field by field, with 422."},
            "id": {"type": "string", "description": "With 503: send the event again with this id."},
            "ids": {
                "type": "array",
                "items": {"type": ["string", "null"]},
                "description": "With 503 of a batch: the ids to send again with, by index.",
            },
        },
    }


def _ref(name: str) -> dict[str, str]:
    return {"$ref": _REFS.format(name=name)}
