"""Routes as bare ASGI: no middleware and no pydantic stand between the socket and the log."""

from collections.abc import Awaitable, Callable
from hmac import compare_digest
from typing import Any, Final

from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ingest_gateway import refusal
from ingest_gateway.accept import BATCH_PATH, EVENTS_PATH, Answer, accept_event, answer_batch
from ingest_gateway.body import ClientGone, read_body
from ingest_gateway.budget import Budget, Share
from ingest_gateway.event_ids import ids_for
from ingest_gateway.event_log import EventLog
from ingest_gateway.headers import BodyHeaders, body_headers
from ingest_gateway.idempotency import Idempotency, fingerprint_of
from ingest_gateway.reading import read_array, read_lines
from ingest_gateway.traces import SERVICE
from ingest_gateway.writing import write_batch
from runtime.metrics import EVENTS_REFUSED
from runtime.problem import problem_response
from runtime.request_tracing import answered, is_traced, request_span
from schemas.timestamps import now_micros

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"

_READERS: Final = {JSON: read_array, NDJSON: read_lines}

_CLIENT_GONE: Final = 499
"""As nginx calls it; never sent."""

Accept = Callable[[Scope, BodyHeaders, bytes], Awaitable[Answer]]
"""Answers a request by its scope, what its headers say of its body, and its unpacked body."""

Refuse = Callable[[refusal.Refusal, Any], Response]
"""Answers a request that was refused, by the headers of its scope."""


def event_routes(log: EventLog, budget: Budget, canary_token: bytes) -> list[Route]:
    """POST of one event and of a batch. `canary_token`: the word by which this gateway knows its own canary."""

    async def one(_: Scope, headers: BodyHeaders, body: bytes) -> Answer:
        return await accept_event(log, body, ids_for(headers.idempotency_key, body))

    async def batch(_: Scope, headers: BodyHeaders, body: bytes) -> Answer:
        reader = _READERS[headers.media_type]
        by_canary = compare_digest(headers.canary_token, canary_token)
        events = reader(body, ids_for(headers.idempotency_key, body), now_micros())
        return answer_batch(await write_batch(log, events, by_canary=by_canary), BATCH_PATH, by_canary=by_canary)

    return [
        Route(EVENTS_PATH, Ingest(EVENTS_PATH, frozenset({JSON}), budget, one), methods=["POST"]),
        Route(BATCH_PATH, Ingest(BATCH_PATH, frozenset(_READERS), budget, batch), methods=["POST"]),
    ]


class Ingest:
    """An ASGI endpoint: reads the body within its limits, lets `accept` answer, and counts what was refused.

    Args:
        route: its path, by which it is counted.
        media_types: what it reads; empty: anything.
        budget: bounds the bytes of all requests.
        accept: answers.
        problem: gives the answer to a request with such headers that was refused.
    """

    def __init__(
        self, route: str, media_types: frozenset[str], budget: Budget, accept: Accept, problem: Refuse | None = None
    ) -> None:
        self._route, self._media_types, self._budget, self._accept = route, media_types, budget, accept
        self._problem = problem or problem_of
        self._named = Idempotency()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if not is_traced(scope["headers"]):
            await self._serve(scope, receive, send)
            return
        with request_span(SERVICE, "POST", self._route, scope["headers"]) as span:
            answered(span, await self._serve(scope, receive, send))

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> int:
        """Gives the status of the answer, also where nobody is there any more to get it."""
        try:
            answer = await self._answer(scope, receive)
        except ClientGone:
            return _CLIENT_GONE
        except refusal.Refusal as refused:
            EVENTS_REFUSED.labels(self._route, refused.reason).inc(refused.events)
            await self._problem(refused, scope["headers"])(scope, receive, send)
            return refused.status
        await _send(send, answer)
        return answer.status

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        headers = body_headers(scope["headers"])
        if self._media_types and headers.media_type not in self._media_types:
            said = f"{headers.media_type} is not read here" if headers.media_type else "is missing"
            raise refusal.unsupported(f"Content-Type {said}; send {' or '.join(sorted(self._media_types))}")
        with Share(self._budget) as share:
            body = await read_body(receive, headers, share)
            if not headers.idempotency_key:
                return await self._accept(scope, headers, body)
            fingerprint = fingerprint_of(scope, body)
            return await self._named.once(
                headers.idempotency_key, fingerprint, lambda: self._accept(scope, headers, body)
            )


def problem_of(refused: refusal.Refusal, _: Any) -> Response:
    """The refusal as RFC 9457 has it, whatever the headers."""
    return problem_response(refused.status, refused.detail, headers=refused.headers, **refused.extra)


async def _send(send: Send, answer: Answer) -> None:
    length = str(len(answer.body)).encode()
    headers: list[Any] = [(b"content-type", answer.media_type.encode()), (b"content-length", length)]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
