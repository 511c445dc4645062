"""A record on its way out."""

from collections.abc import Sequence
from typing import NamedTuple


class Outgoing(NamedTuple):
    """One record to publish: bytes, an explicit partition, headers as aiokafka takes them."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()
