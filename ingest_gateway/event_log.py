"""The log that accepted events are written to, as the gateway sees it: records in, one honest outcome out."""

from collections.abc import Sequence
from typing import Protocol

import msgspec


class Record(msgspec.Struct, frozen=True):
    """The value of one record of `ops.events`; all its events are of `service`, which is its key.

    `headers`: its trace, where it has one.
    """

    service: str
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


class PublishError(Exception):
    """Records that were not acknowledged; `reason` is a clause that says why.

    Args:
        reason: such as "the broker cannot be reached".
        retry_after: whole seconds after which trying again makes sense.
    """

    def __init__(self, reason: str, *, retry_after: int = 2) -> None:
        super().__init__(reason)
        self.reason, self.retry_after = reason, retry_after


class NotWritten(PublishError):  # noqa: N818 - reads as what it is
    """None of the records is in the log, and none will be."""


class OutcomeUnknown(PublishError):  # noqa: N818 - reads as what it is
    """Some of the records may be in the log or get there yet, and some may not."""


class EventLog(Protocol):
    """Where records go; `publish` returns once all in-sync replicas have them."""

    async def start(self) -> None:
        """Begin to connect; returns at once, whether the broker is there or not."""

    async def stop(self) -> None:
        """Let what is under way finish, within bounds, and let go of every connection."""

    async def publish(self, records: Sequence[Record]) -> None:
        """Write the records, those of one service in their order; returns once they are acknowledged.

        Raises:
            NotWritten: where none of them was written.
            OutcomeUnknown: where that cannot be said of all of them.
        """

    @property
    def partition_count(self) -> int | None:
        """How many there are of `ops.events`; None while that is not known."""

    async def check(self) -> str | None:
        """None while records can be written, else a sentence that says why not."""
