"""How far each partition may be committed: up to the first record whose work is not finished."""

from collections.abc import Iterable

Partition = tuple[str, int]
"""A topic and a partition of it."""


class Progress:
    """Records taken and records still open, by partition."""

    def __init__(self) -> None:
        self._next: dict[Partition, int] = {}
        self._open: dict[Partition, set[int]] = {}
        self._committed: dict[Partition, int] = {}

    def took(self, partition: Partition, offset: int) -> None:
        """The record at `offset` was taken; it is open until it is closed."""
        self._next[partition] = max(offset + 1, self._next.get(partition, 0))
        self._open.setdefault(partition, set()).add(offset)

    def closed(self, partition: Partition, offset: int) -> None:
        """Work on the record at `offset` has come to its end."""
        self._open.get(partition, set()).discard(offset)

    def forget(self, partitions: Iterable[Partition]) -> None:
        """Partitions that someone else now works on."""
        for partition in partitions:
            for kept in (self._next, self._open, self._committed):
                kept.pop(partition, None)

    def due(self) -> dict[Partition, int]:
        """The offsets to commit that were not committed yet."""
        ready = {partition: min(self._open.get(partition) or {position}) for partition, position in self._next.items()}
        return {partition: offset for partition, offset in ready.items() if self._committed.get(partition) != offset}

    def committed(self, offsets: dict[Partition, int]) -> None:
        """The broker has taken these."""
        self._committed |= offsets
