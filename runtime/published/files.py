"""The files in which it is published, and the schemas of releases that are kept to compare with."""

import json
from pathlib import Path
from typing import Any, Final

import yaml

from runtime.published.asyncapi import document
from runtime.published.json_schemas import schemas

DOCS: Final = Path("docs")
RELEASES: Final = DOCS / "schemas" / "releases"
_WIDTH: Final = 110


def pages() -> dict[Path, str]:
    """Each file with its content: a schema of each kind, and the AsyncAPI document that refers to them."""
    files = {DOCS / "schemas" / f"{name}.json": _json(schema) for name, schema in schemas().items()}
    return files | {DOCS / "asyncapi.yaml": yaml.safe_dump(document(), sort_keys=False, width=_WIDTH)}


def released() -> str:
    """All schemas as one file, to be kept with a release."""
    return _json(schemas())


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
