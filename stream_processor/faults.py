"""What is wrong with files that people write, each fault with its place."""

from collections.abc import Sequence

import msgspec


class Fault(msgspec.Struct, frozen=True, order=True):
    """What is wrong at a place of a file; lines and columns count from 1."""

    file: str
    line: int
    column: int
    field: str
    expected: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.field}: {self.expected}"


class InvalidFiles(ValueError):  # noqa: N818 - reads as what it is
    """Files that cannot be used; `faults` says all that is wrong with them, in the order of the files."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = list(faults)


def in_order(faults: Sequence[Fault]) -> list[Fault]:
    """The faults by file, in the order of the files, and within a file from top to bottom."""
    files = {fault.file: number for number, fault in reversed(list(enumerate(faults)))}
    return sorted(faults, key=lambda fault: (files[fault.file], fault.line, fault.column))
