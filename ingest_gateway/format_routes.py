"""The routes for what producers already speak: OTLP logs, log shippers, Alertmanager and CloudEvents."""

from typing import Any, Final
from urllib.parse import parse_qs

from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Scope

from ingest_gateway import refusal
from ingest_gateway.accept import Answer, answer_batch, count_batch
from ingest_gateway.budget import Budget
from ingest_gateway.event_ids import ids_for
from ingest_gateway.event_log import EventLog
from ingest_gateway.formats import cloudevents, otlp, otlp_answer
from ingest_gateway.formats.alertmanager import read_alerts
from ingest_gateway.formats.shippers import read_records
from ingest_gateway.headers import BodyHeaders
from ingest_gateway.reading import Batch
from ingest_gateway.routes import JSON, NDJSON, Ingest, problem_of
from ingest_gateway.writing import write_batch
from schemas.event import MAX_SERVICE
from schemas.timestamps import now_micros

OTLP_PATH: Final = "/v1/logs"
RECORDS_PATH: Final = "/api/v1/ingest/logs"
ALERTS_PATH: Final = "/api/v1/ingest/alertmanager"
CLOUDEVENTS_PATH: Final = "/api/v1/ingest/cloudevents"

_OTLP_DECODERS: Final = {otlp_answer.PROTOBUF: otlp.decode_protobuf, otlp_answer.JSON: otlp.decode_json}


def format_routes(log: EventLog, budget: Budget) -> list[Route]:
    """One POST route a protocol."""

    async def logs(_: Scope, headers: BodyHeaders, body: bytes) -> Answer:
        request = _OTLP_DECODERS[headers.media_type](body)
        key = headers.idempotency_key or (OTLP_PATH.encode() if otlp.is_timed(request) else b"")
        batch = await write_batch(log, otlp.read_logs(request, ids_for(key, body), now_micros()))
        count_batch(batch, OTLP_PATH)
        return Answer(200, otlp_answer.success(batch, headers.media_type), headers.media_type)

    async def records(scope: Scope, headers: BodyHeaders, body: bytes) -> Answer:
        service = _parameter(scope, "service", MAX_SERVICE)
        return await write(
            read_records(body, service, ids_for(headers.idempotency_key, body), now_micros()), RECORDS_PATH
        )

    async def alerts(scope: Scope, _: BodyHeaders, body: bytes) -> Answer:
        label = _parameter(scope, "service_label", MAX_SERVICE)
        return await write(read_alerts(body, label, now_micros()), ALERTS_PATH)

    async def events(scope: Scope, headers: BodyHeaders, body: bytes) -> Answer:
        return await write(_read_cloudevents(scope, headers, body), CLOUDEVENTS_PATH)

    async def write(batch: Batch, path: str) -> Answer:
        return answer_batch(await write_batch(log, batch), path)

    json, lines = frozenset({JSON}), frozenset({JSON, NDJSON})
    return [
        _post(OTLP_PATH, Ingest(OTLP_PATH, frozenset(_OTLP_DECODERS), budget, logs, _otlp_problem)),
        _post(RECORDS_PATH, Ingest(RECORDS_PATH, lines, budget, records)),
        _post(ALERTS_PATH, Ingest(ALERTS_PATH, json, budget, alerts)),
        _post(CLOUDEVENTS_PATH, Ingest(CLOUDEVENTS_PATH, frozenset(), budget, events)),
    ]


def _post(path: str, endpoint: Ingest) -> Route:
    return Route(path, endpoint, methods=["POST"])


def _read_cloudevents(scope: Scope, headers: BodyHeaders, body: bytes) -> Batch:
    if headers.media_type == cloudevents.STRUCTURED:
        return cloudevents.read_structured(body, now_micros())
    if headers.media_type == cloudevents.BATCHED:
        return cloudevents.read_batched(body, now_micros())
    if cloudevents.is_binary(scope["headers"]):
        return cloudevents.read_binary(scope["headers"], headers.media_type, body, now_micros())
    raise refusal.unsupported(
        f"This is no CloudEvent: send {cloudevents.STRUCTURED}, {cloudevents.BATCHED}, or the headers ce-specversion, "
        "ce-id, ce-source and ce-type"
    )


def _otlp_problem(refused: refusal.Refusal, headers: Any) -> Response:
    """A refusal in the form of the request; where that form is none of OTLP's, a problem like everywhere."""
    said = next((value for name, value in headers if name == b"content-type"), b"")
    media_type = said.decode("latin-1").partition(";")[0].strip().lower()
    if media_type not in _OTLP_DECODERS:
        return problem_of(refused, headers)
    return Response(otlp_answer.error(refused, media_type), otlp_answer.status(refused), refused.headers, media_type)


def _parameter(scope: Scope, name: str, most: int) -> str | None:
    """A parameter of the query; None: not given.

    Raises:
        Refusal: 422 where it is longer than `most` characters.
    """
    values = parse_qs(scope["query_string"].decode("latin-1")).get(name)
    value = values[-1].strip() if values else ""
    if len(value) > most:
        raise refusal.invalid(
            f"{name} is longer than {most} characters",
            errors=[{"field": name, "message": f"at most {most} characters"}],
        )
    return value or None
