"""The event log in memory: the twin of the Kafka one that unit tests and experiments use."""

from collections import defaultdict
from collections.abc import Sequence

from ingest_gateway.event_log import OutcomeUnknown, PublishError, Record
from schemas.placement import home_partition


class MemoryEventLog:
    """Keeps each partition as a list of keys and values, all headers in one; `failure` makes every publish fail."""

    def __init__(self, partitions: int = 6) -> None:
        self._count = partitions
        self.partitions: dict[int, list[tuple[bytes, bytes]]] = defaultdict(list)
        self.headers: list[tuple[tuple[str, bytes], ...]] = []
        self.failure: PublishError | None = None

    async def start(self) -> None:
        """Nothing to connect to."""

    async def stop(self) -> None:
        """Nothing to let go of."""

    async def publish(self, records: Sequence[Record]) -> None:
        """Append the records; with `OutcomeUnknown` as failure they are written and yet not acknowledged."""
        if self.failure is None or isinstance(self.failure, OutcomeUnknown):
            for record in records:
                partition = home_partition(record.service, self._count)
                self.headers.append(record.headers)
                self.partitions[partition].append((record.service.encode(), record.value))
        if self.failure is not None:
            raise self.failure

    @property
    def partition_count(self) -> int | None:
        """As many as it was made with."""
        return self._count

    async def check(self) -> str | None:
        """The failure's reason, if one is set."""
        return self.failure.reason if self.failure else None
