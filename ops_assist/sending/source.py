"""Lines out of a file, a gzip file or standard input, one at a time."""

import gzip
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from ops_assist.errors import CommandError

STDIN: Final = "-"
MAX_LINE_BYTES: Final = 4 * 1024 * 1024
_GZIP_MAGIC: Final = b"\x1f\x8b"


class Line(NamedTuple):
    """One line: where it stands and what it holds; `content` is None where it is too long to be an event."""

    number: int
    content: bytes | None


class Source:
    """An open input. `position` and `size` are in bytes of the file as it lies on disk; `size` is 0 for a pipe."""

    def __init__(self, name: str, raw: io.BufferedReader, size: int) -> None:
        self.name = name
        self.size = size
        self._raw = raw
        zipped = raw.peek(len(_GZIP_MAGIC)).startswith(_GZIP_MAGIC)
        self._stream = gzip.GzipFile(fileobj=raw) if zipped else raw

    @property
    def position(self) -> int:
        """How far it has been read."""
        return self._raw.tell() if self.size else 0

    def lines(self) -> Iterator[Line]:
        """Its lines without their ends; empty ones are left out.

        Raises:
            CommandError: it cannot be read on.
        """
        number = 0
        try:
            while line := self._stream.readline(MAX_LINE_BYTES):
                number += 1
                whole = line.endswith(b"\n") or len(line) < MAX_LINE_BYTES
                if not whole:
                    self._skip_line()
                if content := line.strip():
                    yield Line(number, content if whole else None)
        except (OSError, EOFError) as error:
            raise CommandError(f"{self.name}: cannot be read on after line {number}: {error}") from error

    def _skip_line(self) -> None:
        while (rest := self._stream.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
            pass


@contextmanager
def open_source(name: str) -> Iterator[Source]:
    """Open a file by name, or standard input for "-"; gzip is found by its content.

    Raises:
        CommandError: there is no such file, or it may not be read.
    """
    try:
        raw, size = _open(name)
    except OSError as error:
        raise CommandError(f"{name}: {error.strerror}") from error
    with raw:
        yield Source("stdin" if name == STDIN else name, raw, size)


def _open(name: str) -> tuple[io.BufferedReader, int]:
    if name == STDIN:
        return io.open(sys.stdin.fileno(), "rb", closefd=False), 0  # noqa: UP020 - closed by the caller
    path = Path(name)
    return path.open("rb"), path.stat().st_size if path.is_file() else 0
