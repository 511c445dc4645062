"""The log file of a service: followed while it runs, kept within bounds."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

MAX_BYTES: Final = 32 * 1024 * 1024
"""A log that has grown beyond this becomes NAME.log.1, in place of the one before."""

_CHUNK: Final = 256 * 1024


class ServiceLog:
    """Reads what a service has appended to its log since the last look."""

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._position = 0
        self._rest = b""

    def open(self) -> None:
        """Make the log ready for a new run: what was said before is kept, but not shown again."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.touch()
        self._position = self.path.stat().st_size
        self._keep_within_bounds()

    def new_lines(self) -> Iterator[bytes]:
        """The whole lines since the last look; at most one chunk a look, so that a flood cannot hold the reader."""
        with self.path.open("rb") as file:
            file.seek(self._position)
            chunk = file.read(_CHUNK)
        self._position += len(chunk)
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        self._rest = self._rest[-_CHUNK:]
        self._keep_within_bounds()
        yield from lines

    def _keep_within_bounds(self) -> None:
        # The service holds the file open for appending, so it is copied and emptied rather than renamed.
        if self._position > self._max_bytes:
            shutil.copyfile(self.path, self.path.with_name(f"{self.path.name}.1"))
            with self.path.open("r+b") as file:
                file.truncate(0)
            self._position = 0
