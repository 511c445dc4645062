"""Rows on disk, for more state than memory: one SQLite file that lives as long as the process.

The file has no name once it is open: whatever ends the process, the operating system frees it, and no start can find
rows of another. So nothing is synced and nothing is journalled (docs/adr/0007-state-on-disk.md).
"""

import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from stream_processor.row_store import Change

_CACHE_KIB: Final = 64 * 1024
"""Memory for pages of the file, beside what the operating system caches of it."""

_SETUP: Final = f"""
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA cache_size = -{_CACHE_KIB};
CREATE TABLE rows (key BLOB PRIMARY KEY, partition INTEGER NOT NULL, row BLOB NOT NULL);
"""


class DiskRows:
    """Rows in a file below `directory`; for use in one thread."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=directory, prefix="rows-", suffix=".sqlite") as file:
            self._database = sqlite3.connect(file.name, isolation_level=None)
            self._database.executescript(_SETUP)
        self._count = 0

    def close(self) -> None:
        """Give the space back; without this the end of the process does."""
        self._database.close()

    def reset(self, partitions: Iterable[int]) -> None:
        """Forget everything."""
        del partitions
        self._database.execute("DELETE FROM rows")
        self._count = 0

    def get(self, key: bytes) -> bytes | None:
        """The row of `key`."""
        found = self._database.execute("SELECT row FROM rows WHERE key = ?", (key,)).fetchone()
        return found[0] if found else None

    def apply(self, partition: int, changes: Iterable[Change]) -> None:
        """Set and delete rows, in order."""
        with self._transaction() as database:
            for key, row in changes:
                if row is None:
                    self._count -= database.execute("DELETE FROM rows WHERE key = ?", (key,)).rowcount
                elif not database.execute("UPDATE rows SET row = ? WHERE key = ?", (row, key)).rowcount:
                    database.execute("INSERT INTO rows VALUES (?, ?, ?)", (key, partition, row))
                    self._count += 1

    def rows(self, partition: int) -> Mapping[bytes, bytes]:
        """All rows of one partition, read as they are asked for."""
        return _PartitionRows(self._database, partition)

    def keys(self) -> Iterator[bytes]:
        """All keys."""
        return (key for (key,) in self._database.execute("SELECT key FROM rows"))

    def __len__(self) -> int:
        return self._count

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._database.execute("BEGIN")
        yield self._database
        self._database.execute("COMMIT")


class _PartitionRows(Mapping[bytes, bytes]):
    """The rows of one partition; each pass over them reads the file."""

    def __init__(self, database: sqlite3.Connection, partition: int) -> None:
        self._database = database
        self._partition = partition

    def __getitem__(self, key: bytes) -> bytes:
        query = "SELECT row FROM rows WHERE key = ? AND partition = ?"
        found = self._database.execute(query, (key, self._partition)).fetchone()
        if found is None:
            raise KeyError(key)
        row: bytes = found[0]
        return row

    def __iter__(self) -> Iterator[bytes]:
        found = self._database.execute("SELECT key FROM rows WHERE partition = ?", (self._partition,))
        return (key for (key,) in found)

    def __len__(self) -> int:
        counted = self._database.execute("SELECT count(*) FROM rows WHERE partition = ?", (self._partition,))
        count: int = counted.fetchone()[0]
        return count
