"""Ids for events that bring none: new ones, or the same ones again where the sender names its attempt."""

from collections.abc import Callable
from hashlib import blake2b

from schemas.identity import uuid7, uuid8

IdFor = Callable[[int], str]
"""Gives the id of the event at an index of the request."""


def ids_for(idempotency_key: bytes, body: bytes) -> IdFor:
    """New UUIDv7s; with an `Idempotency-Key`, ids that are a function of the key, the body and the index.

    Without a key two equal bodies are two events: five equal log lines in a second are five errors, not one. With a
    key, the same body sent again under it carries the same ids, and so counts once. The body goes into the ids too, so
    that a key used again for other events makes no two of them one.
    """
    if not idempotency_key:
        return lambda _: uuid7()
    seed = blake2b(len(idempotency_key).to_bytes(8, "big") + idempotency_key + body, digest_size=32).digest()
    return lambda index: uuid8(blake2b(index.to_bytes(8, "big"), key=seed, digest_size=16).digest())
