"""One OpenAPI document out of several apps'."""

import json
from collections.abc import Mapping
from copy import deepcopy
from typing import Any, Final

from fastapi import FastAPI

_SCHEMA_REF: Final = "#/components/schemas/"


def merged_document(own: FastAPI, apps: Mapping[str, FastAPI]) -> dict[str, Any]:
    """The document of `own` with the paths, components and tags of `apps` added.

    A path that `own` serves hides those of the apps; a schema whose name two apps use for different things gets the
    name of its app in front.
    """
    document = deepcopy(own.openapi())
    document.setdefault("components", {})
    hidden = frozenset(document["paths"])
    for name, app in apps.items():
        other = _with_free_names(app.openapi(), document, name)
        _add_paths(document["paths"], other.get("paths", {}), hidden=hidden)
        _add_components(document["components"], other.get("components", {}))
        _add_tags(document, other)
    return document


def _with_free_names(other: dict[str, Any], document: dict[str, Any], prefix: str) -> dict[str, Any]:
    taken = document["components"].get("schemas", {})
    schemas = other.get("components", {}).get("schemas", {})
    clashes = [name for name, schema in schemas.items() if name in taken and taken[name] != schema]
    text = json.dumps(other)
    for name in clashes:
        text = text.replace(f'"{_SCHEMA_REF}{name}"', f'"{_SCHEMA_REF}{prefix}_{name}"')
    renamed: dict[str, Any] = json.loads(text)
    for name in clashes:
        named = renamed["components"]["schemas"]
        named[f"{prefix}_{name}"] = named.pop(name)
    return renamed


def _add_paths(paths: dict[str, Any], more: dict[str, Any], *, hidden: frozenset[str]) -> None:
    for path, operations in more.items():
        if path not in hidden:
            paths[path] = {**paths.get(path, {}), **operations}


def _add_components(components: dict[str, Any], more: dict[str, Any]) -> None:
    for kind, named in more.items():
        components[kind] = {**components.get(kind, {}), **named}


def _add_tags(document: dict[str, Any], other: dict[str, Any]) -> None:
    known = {tag["name"] for tag in document.get("tags", [])}
    document["tags"] = [
        *document.get("tags", []),
        *(tag for tag in other.get("tags", []) if tag["name"] not in known),
    ]
