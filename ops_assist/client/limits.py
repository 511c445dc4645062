"""How much a client holds, and in what pieces it sends."""

from dataclasses import dataclass
from typing import Final

LEAST_BYTES: Final = 2 * 1024 * 1024
"""The largest event that `shape` makes fits in it, so that a queue takes any event when it is empty."""

MAX_BATCH_EVENTS: Final = 10_000
MAX_BATCH_BYTES: Final = 8 * 1024 * 1024 - 2 * LEAST_BYTES
"""A batch ends behind the event that passes its size, which keeps it under the gateway's 8 MiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of a queue and of its batches.

    Args:
        max_events: the most events that are held: waiting, or sent and not yet acknowledged.
        max_bytes: the most bytes that they take as JSON; at least 2 MiB.
        batch_events: the most events of one request; the gateway takes 10,000.
        batch_bytes: a request takes no further event once it holds as much.
        linger: seconds that an event waits for others to go with it.

    Raises:
        ValueError: a bound that cannot be kept.
    """

    max_events: int = 10_000
    max_bytes: int = 16 * 1024 * 1024
    batch_events: int = 1_000
    batch_bytes: int = 1024 * 1024
    linger: float = 0.5

    def __post_init__(self) -> None:
        if self.max_events < 1:
            raise ValueError(f"max_events must be at least 1, not {self.max_events}")
        if self.max_bytes < LEAST_BYTES:
            raise ValueError(f"max_bytes must be at least {LEAST_BYTES:,} (one large event), not {self.max_bytes:,}")
        if not 1 <= self.batch_events <= MAX_BATCH_EVENTS:
            raise ValueError(f"batch_events must be 1 to {MAX_BATCH_EVENTS:,}, not {self.batch_events:,}")
        if not 1 <= self.batch_bytes <= MAX_BATCH_BYTES:
            raise ValueError(f"batch_bytes must be 1 to {MAX_BATCH_BYTES:,}, not {self.batch_bytes:,}")
        if not 0 <= self.linger < float("inf"):
            raise ValueError(f"linger must be a number of seconds, not {self.linger}")
