"""A JSON Schema (draft 2020-12) of each kind of record, made from the types that the code reads and writes with."""

import inspect
from typing import Any, Final

import msgspec

from runtime.published.kinds import KINDS, Kind

Schema = dict[str, Any]

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def schema_of(kind: Kind) -> Schema:
    """The schema of a record's value; that of a dead letter allows anything."""
    head: Schema = {"$schema": _DIALECT, "title": kind.name, "description": f"`{kind.topic}`. {kind.summary}"}
    if kind.value is None:
        return head
    [top], types = msgspec.json.schema_components([kind.value])
    return head | top | {"$defs": {name: _tidy(types[name]) for name in sorted(types)}}


def schemas() -> dict[str, Schema]:
    """All of them, by the name of their kind."""
    return {kind.name: schema_of(kind) for kind in KINDS}


def _tidy(value: Any) -> Any:
    """Docstrings without the indentation of the code."""
    if isinstance(value, dict):
        return {
            name: inspect.cleandoc(part) if name == "description" and isinstance(part, str) else _tidy(part)
            for name, part in value.items()
        }
    return [_tidy(part) for part in value] if isinstance(value, list) else value
