"""Routes as bare ASGI: no middleware and no pydantic stand between the socket and the log."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ingest_gateway import refusal
from ingest_gateway.accept import BATCH_PATH, EVENTS_PATH, Answer, accept_batch, accept_event
from ingest_gateway.body import ClientGone, read_body
from ingest_gateway.budget import Budget, Share
from ingest_gateway.event_ids import ids_for
from ingest_gateway.event_log import EventLog
from ingest_gateway.headers import BodyHeaders, body_headers
from ingest_gateway.reading import read_array, read_lines
from ingest_gateway.traces import SERVICE
from runtime.metrics import EVENTS_REFUSED
from runtime.problem import problem_response
from runtime.request_tracing import answered, is_traced, request_span

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"

_READERS: Final = {JSON: read_array, NDJSON: read_lines}

_CLIENT_GONE: Final = 499
"""As nginx calls it; never sent."""

Accept = Callable[[Scope, BodyHeaders, bytes], Awaitable[Answer]]
"""Answers a request by its scope, what its headers say of its body, and its unpacked body."""

Refuse = Callable[[refusal.Refusal, Any], Response]
"""Answers a request that was refused, by the headers of its scope."""


def event_routes(log: EventLog, budget: Budget) -> list[Route]:
    """POST of one event and of a batch."""

    async def one(_: Scope, headers: BodyHeaders, body: bytes) -> Answer:
        return await accept_event(log, body, ids_for(headers.idempotency_key, body))

    async def batch(_: Scope, headers: BodyHeaders, body: bytes) -> Answer:
        reader = _READERS[headers.media_type]
        return await accept_batch(log, body, ids_for(headers.idempotency_key, body), reader)

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
        self._problem = problem or _problem

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
            raise refusal.unsupported(
                f"Content-Type {headers.media_type or 'is missing'} is not read here; "
                f"send {' or '.join(sorted(self._media_types))}"
            )
        with Share(self._budget) as share:
            return await self._accept(scope, headers, await read_body(receive, headers, share))


def _problem(refused: refusal.Refusal, _: Any) -> Response:
    return problem_response(refused.status, refused.detail, headers=refused.headers, **refused.extra)


async def _send(send: Send, answer: Answer) -> None:
    length = str(len(answer.body)).encode()
    headers: list[Any] = [(b"content-type", answer.media_type.encode()), (b"content-length", length)]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
