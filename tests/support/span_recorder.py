"""Spans in memory, for tests of what begins them."""

from collections.abc import Iterable
from typing import Any

from runtime.trace_context import TraceContext
from runtime.tracing import Attributes, Kind, Value


class MemorySpan:
    """A span that was begun."""

    def __init__(self, scope: str, name: str, kind: Kind, parent: TraceContext | None, number: int) -> None:
        self.scope, self.name, self.kind, self.parent = scope, name, kind, parent
        self.context: TraceContext | None = TraceContext(
            parent.trace_id if parent else f"{number:032x}", f"{number:016x}", 1
        )
        self.links: list[TraceContext] = []
        self.attributes: dict[str, Any] = {}
        self.error: str | None = None
        self.ended = 0

    def set(self, name: str, value: Value) -> None:
        """Keep an attribute."""
        self.attributes[name] = value

    def rename(self, name: str) -> None:
        """Take another name."""
        self.name = name

    def fail(self, error_type: str) -> None:
        """Keep what went wrong."""
        self.error = error_type

    def end(self) -> None:
        """Count the ends."""
        self.ended += 1


class MemoryRecorder:
    """Keeps all spans; their ids are their numbers, from 1 on."""

    def __init__(self) -> None:
        self.spans: list[MemorySpan] = []

    def start(
        self,
        scope: str,
        name: str,
        kind: Kind,
        *,
        parent: TraceContext | None,
        links: Iterable[TraceContext],
        attributes: Attributes,
    ) -> MemorySpan:
        """Begin a span."""
        span = MemorySpan(scope, name, kind, parent, len(self.spans) + 1)
        span.links = list(links)
        span.attributes = dict(attributes)
        self.spans.append(span)
        return span

    def close(self, seconds: float) -> None:
        """Nothing is left to export."""

    @property
    def names(self) -> list[str]:
        """Of all spans, in order of their beginning."""
        return [span.name for span in self.spans]
