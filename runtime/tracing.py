"""Spans, where an OTLP endpoint is set; else OpenTelemetry's SDK is not even imported.

Names and attributes follow OpenTelemetry's semantic conventions for HTTP, messaging and generative AI. No span holds
what events, prompts or answers say: of an error, only its type.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, Literal, Protocol

import structlog

from runtime.settings import Settings
from runtime.trace_context import TraceContext, under

log = structlog.get_logger(__name__)

Kind = Literal["internal", "server", "client", "producer", "consumer"]
Value = str | int | float | bool | list[str]
Attributes = Mapping[str, Value]

MOST_LINKS: Final = 128
"""Links of one span; the SDK keeps no more (OTEL_SPAN_LINK_COUNT_LIMIT)."""

_NONE: Final[Attributes] = {}
_SHUTDOWN_SECONDS: Final = 1.0


class Span(Protocol):
    """A span that has begun. `context` is what others name as their parent."""

    context: TraceContext | None

    def set(self, name: str, value: Value) -> None:
        """Set an attribute."""

    def rename(self, name: str) -> None:
        """Its name is known only now."""

    def fail(self, error_type: str) -> None:
        """It went wrong; `error_type` is a class or a code, never a text."""

    def end(self) -> None:
        """It is over."""


class Recorder(Protocol):
    """Where spans are recorded."""

    def start(
        self,
        scope: str,
        name: str,
        kind: Kind,
        *,
        parent: TraceContext | None,
        links: Iterable[TraceContext],
        attributes: Attributes,
    ) -> Span:
        """Begin a span of the service `scope`; without a parent it begins a trace."""

    def close(self, seconds: float) -> None:
        """Export what is left, for at most `seconds`."""


class _Unrecorded:
    """Stands for a span where none is recorded."""

    def __init__(self, context: TraceContext | None) -> None:
        self.context = context

    def set(self, name: str, value: Value) -> None:
        """See `Span`."""

    def rename(self, name: str) -> None:
        """See `Span`."""

    def fail(self, error_type: str) -> None:
        """See `Span`."""

    def end(self) -> None:
        """See `Span`."""


_recorders: Final[list[Recorder]] = []


def is_on() -> bool:
    """Whether spans are recorded."""
    return bool(_recorders)


def configure_tracing(settings: Settings, service: str) -> None:
    """Record the spans of this process, where the settings name an endpoint for them."""
    if not settings.traces_endpoint:
        return
    from runtime.otlp import OtlpRecorder  # noqa: PLC0415 - see the module's docstring

    # The SDK reads its own variables; those that a .env file sets, it would not see.
    for name, value in settings.otel_environment.items():
        os.environ.setdefault(name, value)
    try:
        _recorders[:] = [OtlpRecorder(service)]
    except ValueError as error:  # an OTEL_ variable that the SDK cannot use stops no service
        log.error("traces_off", why=str(error))  # noqa: TRY400 - the sentence says it all


def close_tracing() -> None:
    """Export what is left, for at most a second: a collector that is away holds up no stop."""
    while _recorders:
        _recorders.pop().close(_SHUTDOWN_SECONDS)


@contextmanager
def recording(recorder: Recorder) -> Iterator[None]:
    """Record spans with `recorder` in the block."""
    _recorders.append(recorder)
    try:
        yield
    finally:
        _recorders.remove(recorder)


@contextmanager
def span(
    scope: str,
    name: str,
    kind: Kind = "internal",
    *,
    parent: TraceContext | None,
    links: Iterable[TraceContext] = (),
    attributes: Attributes = _NONE,
) -> Iterator[Span]:
    """A span over the block, which what is done and logged in it belongs to; where none is recorded, to `parent`."""
    if not _recorders:
        with under(parent):
            yield _Unrecorded(parent)
        return
    begun = _recorders[-1].start(scope, name, kind, parent=parent, links=links, attributes=attributes)
    with under(begun.context):
        try:
            yield begun
        except BaseException as error:
            begun.fail(type(error).__name__)
            raise
        finally:
            begun.end()


def of_record(topic: str, partition: int, offset: int | None = None, *, operation: str, group: str = "") -> Attributes:
    """The attributes of a span about a record, as the conventions for Kafka have them."""
    found: dict[str, Value] = {
        "messaging.system": "kafka",
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.destination.name": topic,
        "messaging.destination.partition.id": str(partition),
    }
    if offset is not None:
        found["messaging.kafka.offset"] = offset
    if group:
        found["messaging.consumer.group.name"] = group
    return found


def distinct(contexts: Iterable[TraceContext | None]) -> list[TraceContext]:
    """The sampled ones among `contexts`, each once, at most as many as a span has links: of more, the newest."""
    found = dict.fromkeys(context for context in contexts if context is not None and context.is_sampled)
    return list(found)[-MOST_LINKS:]
