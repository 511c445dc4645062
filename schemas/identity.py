"""Names for things: UUIDv7 for what is new, and names derived from content for what must be the same after a replay."""

import os
import time
from hashlib import blake2b
from struct import Struct
from typing import Final
from uuid import UUID

from schemas.timestamps import MICROSECONDS

_FINGERPRINT: Final = Struct("<Q").unpack


def uuid7() -> str:
    """A new UUIDv7 (RFC 9562 section 5.7): sorts by time of making."""
    millis = time.time_ns() // 1_000_000
    return _uuid(millis, os.urandom(10), version=7)


def derived_event_id(topic: str, partition: int, offset: int, index: int, received_at: int) -> str:
    """The id of an event that came without one: a function of its place in the log (RFC 9562 section 5.8).

    Args:
        topic: the topic that it was first written to.
        partition: its partition there.
        offset: its record's offset there.
        index: its place in the record's array; 0 where the record is one event.
        received_at: the record's timestamp, in microseconds since the epoch.
    """
    digest = blake2b(f"{topic}\0{partition}\0{offset}\0{index}".encode(), digest_size=10).digest()
    return _uuid(received_at * 1_000 // MICROSECONDS, digest, version=8)


def incident_key(rule: str, service: str, event_id: str, event_time: int) -> str:
    """The stable identity of an incident: a function of rule, service and the event that crossed the threshold."""
    text = f"{rule}\0{service}\0{event_id}\0{event_time}"
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def event_fingerprint(event_id: str) -> int:
    """64 bits of an event id, to remember that it was seen.

    Of n remembered ids two collide with probability about n**2 / 2**65 (birthday bound): 3e-11 at 32,768.
    """
    fingerprint: int = _FINGERPRINT(blake2b(event_id.encode("utf-8", "surrogatepass"), digest_size=8).digest())[0]
    return fingerprint


def uuid8(digest: bytes) -> str:
    """The UUIDv8 (RFC 9562 section 5.8) of a digest of 16 bytes, of which 122 bits are kept."""
    return _formed(int.from_bytes(digest, "big"), version=8)


def _uuid(millis: int, tail: bytes, *, version: int) -> str:
    return _formed((millis & 0xFFFF_FFFF_FFFF) << 80 | int.from_bytes(tail, "big"), version)


def _formed(value: int, version: int) -> str:
    """A number of 128 bits as a UUID: its version and the variant 10 take the place of six."""
    value = value & ~(0xF << 76) | version << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(UUID(int=value))
