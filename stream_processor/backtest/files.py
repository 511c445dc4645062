"""Files of events as blocks of whole lines: JSONL, the same compressed (.gz), and Parquet where pyarrow is there."""

import gzip
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import msgspec

BLOCK: Final = 1 << 18
"""Bytes that are read at once; a block is a little longer, up to the end of its last line.

Its events stay in a processor's own cache: a backtest of blocks of 1 MiB is a tenth slower.
"""

_PARQUET_ROWS: Final = 8_192

Advance = Callable[[int], None]
"""Told how many more bytes of the files were read."""


class UnreadableFile(Exception):  # noqa: N818 - reads as what it is
    """A file that cannot be read; the text says why and what to do."""


class _Damaged(Exception):  # noqa: N818 - reads as what it is
    """A Parquet file that cannot be read to its end."""


def check_files(paths: list[Path]) -> int:
    """Look whether files can be read; gives the bytes that they take.

    Raises:
        UnreadableFile: one cannot.
    """
    for path in paths:
        try:
            with path.open("rb") as file:
                start = file.read(4)
        except OSError as error:
            raise UnreadableFile(f"{path}: {error.strerror}") from error
        if path.suffix == ".gz" and start[:2] != b"\x1f\x8b":
            raise UnreadableFile(f"{path}: is no gzip file")
        if path.suffix == ".parquet":
            _pyarrow(path)
    return sum(path.stat().st_size for path in paths)


def blocks(path: Path, advance: Advance) -> Iterator[bytes]:
    """The lines of a file, in blocks.

    Raises:
        UnreadableFile: it is damaged.
    """
    try:
        yield from _parquet(path, advance) if path.suffix == ".parquet" else _lines(path, advance)
    except (OSError, EOFError, _Damaged) as error:
        raise UnreadableFile(f"{path}: {error}") from error


def _lines(path: Path, advance: Advance) -> Iterator[bytes]:
    with path.open("rb") as raw:
        file: Any = gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw
        told = 0
        while block := file.read(BLOCK):
            yield block if block.endswith(b"\n") else block + file.readline()
            advance(raw.tell() - told)
            told = raw.tell()


def _parquet(path: Path, advance: Advance) -> Iterator[bytes]:
    encode = msgspec.json.Encoder(enc_hook=str).encode_lines
    parquet = _pyarrow(path)
    try:
        table = parquet.ParquetFile(path, coerce_int96_timestamp_unit="us")
        size, rows = path.stat().st_size, max(1, table.metadata.num_rows)
        for batch in table.iter_batches(batch_size=_PARQUET_ROWS):
            yield encode([_event_of(row) for row in _in_micros(batch).to_pylist()])
            advance(size * batch.num_rows // rows)
    except ValueError as error:  # what pyarrow raises for a file that is damaged
        raise _Damaged(str(error)) from error


def _in_micros(batch: Any) -> Any:
    """A batch whose times have the resolution of events: Python knows no nanoseconds."""
    place = batch.schema.get_field_index("timestamp")
    kind = batch.schema.types[place] if place >= 0 else None
    if kind is None or getattr(kind, "unit", "us") == "us":
        return batch
    arrow = import_module("pyarrow")
    column = batch.column(place).cast(arrow.timestamp("us", kind.tz), safe=False)
    return batch.set_column(place, "timestamp", column)


def _event_of(row: dict[str, Any]) -> dict[str, Any]:
    """A row as an event: times of no zone are taken for UTC, empty cells are left out, attributes may be a map."""
    moment, attributes = row.get("timestamp"), row.get("attributes")
    if isinstance(moment, datetime) and moment.tzinfo is None:
        row["timestamp"] = moment.replace(tzinfo=UTC)
    if attributes is not None:
        row["attributes"] = {name: value for name, value in dict(attributes).items() if value is not None}
    return {name: value for name, value in row.items() if value is not None}


def _pyarrow(path: Path) -> Any:
    try:
        return import_module("pyarrow.parquet")
    except ImportError as error:
        raise UnreadableFile(f"{path}: Parquet needs pyarrow, which is not installed: pip install pyarrow") from error
