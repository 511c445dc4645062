"""What commands print: tables for people, JSON for programs."""

import sys
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

_PIPE_WIDTH: Final = 200
# Controls, soft hyphens, bidi controls, zero-width and tag characters: they steer a terminal or hide text.
_UNSEEN: Final = (*range(32), *range(127, 160), 0xAD, 0x61C, 0x180E, *range(0x200B, 0x2010), *range(0x2028, 0x202F),
                  *range(0x2060, 0x206A), 0xFEFF, *range(0xE0000, 0xE1000))  # fmt: skip
_CONTROLS: Final = dict.fromkeys(_UNSEEN, "�")


def console(*, err: bool = False) -> Console:
    """A console that does not squeeze a table into 80 columns when it is piped."""
    stream = sys.stderr if err else sys.stdout
    return Console(file=stream, width=None if stream.isatty() else _PIPE_WIDTH, highlight=False, markup=False)


def safe(value: object) -> str:
    """The value as one line that cannot steer a terminal: text of logs is untrusted."""
    return "" if value is None else " ".join(str(value).splitlines()).translate(_CONTROLS)


def print_json(value: object) -> None:
    """The value as indented JSON on stdout."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table on stdout; see `table`."""
    console().print(table(columns, rows))


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """A table; columns whose name starts with '#' are numbers and stand to the right."""
    made = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        numeric = name.startswith("#")
        made.add_column(name.lstrip("#"), justify="right" if numeric else "left", no_wrap=numeric, overflow="fold")
    for row in rows:
        made.add_row(*(Text(safe(cell)) for cell in row))
    return made


def print_fields(fields: Iterable[tuple[str, Any]]) -> None:
    """Name and value on a line each, aligned; empty values are left out."""
    shown = [(name, safe(value)) for name, value in fields if value not in (None, "", [])]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        sys.stdout.write(f"{name:<{width}}  {value}\n")


def write_canonical(value: bytes) -> None:
    """Bytes that are the same for the same content, on stdout as they are, and a line end."""
    sys.stdout.buffer.write(value + b"\n")
    sys.stdout.flush()
