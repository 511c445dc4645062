"""Ids of events that a protocol names already: a function of that name, so that what is sent again counts once."""

from hashlib import blake2b
from uuid import UUID


def derived_id(*parts: str) -> str:
    """A UUIDv8 (RFC 9562 section 5.8) of some texts."""
    digest = blake2b(digest_size=16)
    for part in parts:
        text = part.encode("utf-8", "surrogatepass")
        digest.update(len(text).to_bytes(8, "big") + text)
    value = int.from_bytes(digest.digest(), "big")
    value = value & ~(0xF << 76) | 8 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(UUID(int=value))
