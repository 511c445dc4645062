"""Which paths an app serves and with which methods, read from its own OpenAPI document."""

import re
from typing import Final

from fastapi import FastAPI

_PARAMETER: Final = re.compile(r"\\\{[^}]*\\\}")
_NONE: Final[frozenset[str]] = frozenset()


class RouteMap:
    """Methods by path: plain paths in a dict, those with parameters as patterns."""

    def __init__(self, paths: dict[str, frozenset[str]]) -> None:
        self.paths = {path: methods for path, methods in paths.items() if "{" not in path}
        self._patterns = [(_pattern(path), methods) for path, methods in paths.items() if "{" in path]

    def methods(self, path: str) -> frozenset[str]:
        """The methods that the path is served with; empty where it is not served."""
        plain = self.paths.get(path)
        if plain is not None:
            return plain
        return next((methods for pattern, methods in self._patterns if pattern.fullmatch(path)), _NONE)


def route_map(app: FastAPI) -> RouteMap:
    """The routes that an app declares."""
    paths = app.openapi().get("paths", {})
    return RouteMap({path: frozenset(name.upper() for name in operations) for path, operations in paths.items()})


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(_PARAMETER.sub("[^/]+", re.escape(path)))
