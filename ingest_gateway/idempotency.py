"""Requests that name themselves: what is asked again under the same Idempotency-Key is answered the same again.

Source: draft-ietf-httpapi-idempotency-key-header-07. Each gateway process remembers by itself and within bounds; beyond
them, and on another gateway, events without an id get ids that are a function of key and body, so that they still count
once (`ingest_gateway.event_ids`).
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from hashlib import blake2b
from typing import Final

from starlette.types import Scope

from ingest_gateway import refusal
from ingest_gateway.accept import Answer

MOST_KEYS: Final = 10_000
"""Requests that are remembered: the newest."""
MOST_KEY_BYTES: Final = 255
_MOST_ANSWER: Final = 4_096
"""A longer answer is not kept: the request is then carried out again, which counts once too."""


class Idempotency:
    """The newest requests of one route with a key: what tells each apart and, once it was carried out, its answer."""

    def __init__(self, most: int = MOST_KEYS) -> None:
        self._most = most
        self._known: OrderedDict[bytes, _Request] = OrderedDict()

    async def once(self, key: bytes, fingerprint: bytes, carry_out: Callable[[], Awaitable[Answer]]) -> Answer:
        """The answer to a request: the one it had, or that of `carry_out`; a request that failed is not remembered.

        Raises:
            Refusal: 400 where the key is too long, 409 while the same request is carried out, 422 where the key was
                used for another request; what `carry_out` raises.
        """
        if len(key) > MOST_KEY_BYTES:
            raise refusal.malformed(f"The Idempotency-Key is longer than {MOST_KEY_BYTES} bytes; use a UUID")
        known = self._known.get(key)
        if known is not None:
            return known.answer_to(fingerprint)
        self._known[key] = request = _Request(fingerprint)
        try:
            request.answer = await carry_out()
        finally:
            if request.answer is None or len(request.answer.body) > _MOST_ANSWER:
                self._known.pop(key, None)
        self._forget()
        return request.answer

    def _forget(self) -> None:
        while len(self._known) > self._most:
            self._known.popitem(last=False)


class _Request:
    """A request that was begun."""

    __slots__ = ("answer", "fingerprint")

    def __init__(self, fingerprint: bytes) -> None:
        self.fingerprint = fingerprint
        self.answer: Answer | None = None

    def answer_to(self, fingerprint: bytes) -> Answer:
        if fingerprint != self.fingerprint:
            raise refusal.invalid(
                "This Idempotency-Key was used for another request; give each request a key of its own, and send the "
                "same request again under the same key only"
            )
        if self.answer is None:
            raise refusal.Refusal(
                409, refusal.IN_PROGRESS, "The same request is being carried out; send it again a little later"
            )
        return self.answer


def fingerprint_of(scope: Scope, body: bytes) -> bytes:
    """What tells requests of one route apart: query, media type, attributes of a CloudEvent in headers, and body."""
    told = [value for name, value in scope["headers"] if name == b"content-type" or name.startswith(b"ce-")]
    digest = blake2b(digest_size=32)
    for part in (scope["query_string"], *told, body):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.digest()
