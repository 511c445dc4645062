"""The records of older code that are kept as files."""

import base64
import json
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

_HOME: Final = Path(__file__).parents[1] / "data" / "records"


class Stored(NamedTuple):
    """One record."""

    topic: str
    key: bytes | None
    value: bytes
    headers: dict[str, str]


def stored_files() -> list[str]:
    """The names of the files."""
    return sorted(path.stem for path in _HOME.glob("*.jsonl"))


@cache
def stored_records(file: str) -> dict[str, list[Stored]]:
    """The records of a file, by topic."""
    found: dict[str, list[Stored]] = {}
    for line in (_HOME / f"{file}.jsonl").read_text().splitlines():
        record = json.loads(line)
        key = None if record["key"] is None else base64.b64decode(record["key"])
        stored = Stored(record["topic"], key, base64.b64decode(record["value"]), record["headers"])
        found.setdefault(stored.topic, []).append(stored)
    return found
