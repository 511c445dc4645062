"""The messages of tests/data/hostile_lines.jsonl."""

import json
from pathlib import Path

import msgspec

from schemas.event import MAX_MESSAGE

_FILE = Path(__file__).parent.parent / "data" / "hostile_lines.jsonl"


class HostileLine(msgspec.Struct, frozen=True):
    """A message and what sort of trick it is."""

    name: str
    kind: str
    text: str


def hostile_lines() -> list[HostileLine]:
    """All of them, in the order of the file; as long as a message may be at most."""
    rows = [json.loads(row) for row in _FILE.read_text(encoding="ascii").splitlines()]
    return [
        HostileLine(f"{row['kind']} {number}", row["kind"], (row["text"] * row.get("times", 1))[:MAX_MESSAGE])
        for number, row in enumerate(rows, 1)
    ]
