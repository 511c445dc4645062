"""Where the rows of the state table lie while a worker has them: in memory, or on disk when they are too many.

The changelog is the truth. A store begins empty, is filled from the changelog at each recovery and is worth nothing
after the process, so it need not survive a crash, and never has to be told from what the changelog says.
"""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Protocol

Change = tuple[bytes, bytes | None]
"""A key and its new row; None deletes it."""


class RowStore(Protocol):
    """Rows of bytes, each of one partition; a key has a row in at most one of them."""

    def reset(self, partitions: Iterable[int]) -> None:
        """Forget everything; these partitions are there from now on, and empty."""

    def get(self, key: bytes) -> bytes | None:
        """The row of `key`, whichever partition it belongs to."""

    def apply(self, partition: int, changes: Iterable[Change]) -> None:
        """Set and delete rows, in order."""

    def rows(self, partition: int) -> Mapping[bytes, bytes]:
        """All rows of one partition, as they are now; empty when it is not there."""

    def keys(self) -> Iterator[bytes]:
        """All keys."""

    def __len__(self) -> int:
        """How many rows there are."""


class MemoryRows:
    """A dictionary for each partition."""

    def __init__(self) -> None:
        self._rows: dict[int, dict[bytes, bytes]] = {}

    def reset(self, partitions: Iterable[int]) -> None:
        """Forget everything; these partitions are there from now on, and empty."""
        self._rows = {partition: {} for partition in partitions}

    def get(self, key: bytes) -> bytes | None:
        """The row of `key`."""
        for rows in self._rows.values():
            if (value := rows.get(key)) is not None:
                return value
        return None

    def apply(self, partition: int, changes: Iterable[Change]) -> None:
        """Set and delete rows, in order."""
        mine = self._rows.setdefault(partition, {})
        for key, value in changes:
            if value is None:
                mine.pop(key, None)
            else:
                mine[key] = value

    def rows(self, partition: int) -> Mapping[bytes, bytes]:
        """All rows of one partition."""
        return MappingProxyType(self._rows.get(partition, {}))

    def keys(self) -> Iterator[bytes]:
        """All keys."""
        for rows in list(self._rows.values()):
            yield from rows

    def __len__(self) -> int:
        return sum(map(len, self._rows.values()))
