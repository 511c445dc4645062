"""How many bytes of requests the gateway holds at once: the bound behind its backpressure."""

from types import TracebackType
from typing import Self

from ingest_gateway import refusal


class Budget:
    """A count of bytes held, with a limit."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0


class Share:
    """The bytes that one request holds; given back when its `with` block ends."""

    __slots__ = ("_budget", "_held")

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._held = 0

    def take(self, size: int) -> None:
        """Hold `size` bytes more.

        Raises:
            Refusal: 503 at once, where all requests together would hold more than the limit.
        """
        if self._budget.held + size > self._budget.limit:
            raise refusal.unavailable(
                refusal.BUFFER_FULL,
                "The gateway's buffer is full, so nothing was written; send it again a little later",
                1,
            )
        self._budget.held += size
        self._held += size

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._budget.held -= self._held
