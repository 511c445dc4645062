"""Ids of events that a protocol names already: a function of that name, so that what is sent again counts once."""

from hashlib import blake2b

from schemas.identity import uuid8


def derived_id(*parts: str) -> str:
    """A UUIDv8 (RFC 9562 section 5.8) of some texts."""
    digest = blake2b(digest_size=16)
    for part in parts:
        text = part.encode("utf-8", "surrogatepass")
        digest.update(len(text).to_bytes(8, "big") + text)
    return uuid8(digest.digest())
