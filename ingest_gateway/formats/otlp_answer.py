"""Answers of OTLP/HTTP, in the form of the request: what became of log records, and errors as `google.rpc.Status`.

Source: https://opentelemetry.io/docs/specs/otlp/#otlphttp-response; codes of `google.rpc.Code` by the mapping that
stands with them in google/rpc/code.proto.
"""

from typing import Final

from google.protobuf import json_format
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

from ingest_gateway.reading import Batch
from ingest_gateway.refusal import Refusal, sentence

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"

_UNKNOWN: Final = 2
_INVALID: Final = 422
_CODES: Final = {400: 3, 408: 4, 413: 8, 415: 3, 422: 3, 429: 8, 503: 14}
"""INVALID_ARGUMENT, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, UNAVAILABLE by HTTP status."""


def success(batch: Batch, media_type: str) -> bytes:
    """The answer to a request whose valid records are written; the others are a partial success."""
    response = ExportLogsServiceResponse()
    if batch.rejected:
        response.partial_success.rejected_log_records = len(batch.rejected)
        first = batch.rejected[0]
        response.partial_success.error_message = f"record {first.index}: {sentence(first.errors)}"
    return _encoded(response, media_type)


def error(refused: Refusal, media_type: str) -> bytes:
    """The answer to a request of which nothing is known to be written."""
    return _encoded(Status(code=_CODES.get(refused.status, _UNKNOWN), message=refused.detail), media_type)


def status(refused: Refusal) -> int:
    """The HTTP status: of those that mean "never again", a client of OTLP knows 400 best."""
    return 400 if refused.status == _INVALID else refused.status


def _encoded(message: Message, media_type: str) -> bytes:
    written: bytes
    if media_type == JSON:
        written = json_format.MessageToJson(message, indent=None).encode()
    else:
        written = message.SerializeToString()
    return written
