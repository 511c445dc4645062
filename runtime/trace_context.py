"""Which trace something belongs to, as HTTP and record headers tell it: https://www.w3.org/TR/trace-context/.

Read, kept and handed on whether traces are exported or not: what a producer calls its trace stands in the logs of all
services.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, NamedTuple

TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"

_LONGEST: Final = 8_192
"""Bytes of a header that is handed on; a tracestate has 512 and more (W3C Trace Context, section 3.3.1.5)."""

RecordHeaders = Iterable[tuple[str, bytes]]

_SAMPLED: Final = 0x01
_MAX_STATE: Final = 512
_FORM: Final = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_NO_TRACE, _NO_SPAN = b"0" * 32, b"0" * 16
_HTTP_NAMES: Final = {b"traceparent": TRACEPARENT, b"tracestate": TRACESTATE}


class TraceContext(NamedTuple):
    """A span, by its lower-case hexadecimal ids; `state` is what tracing systems on the way have added."""

    trace_id: str
    span_id: str
    flags: int = 0
    state: str = ""

    @property
    def is_sampled(self) -> bool:
        """Whether whoever began the trace records it."""
        return bool(self.flags & _SAMPLED)


def read_traceparent(value: bytes, state: bytes = b"") -> TraceContext | None:
    """The context that a `traceparent` tells; None where it is none, which is as if it were not there."""
    found = _FORM.fullmatch(value.strip(b" \t"))
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == b"ff" or (version == b"00" and more) or trace_id == _NO_TRACE or span_id == _NO_SPAN:
        return None
    return TraceContext(trace_id.decode(), span_id.decode(), int(flags, 16), _read_state(state))


def context_of(headers: RecordHeaders | None) -> TraceContext | None:
    """The context that the headers of a record tell, if any; of several the last counts."""
    parent, state = b"", b""
    for name, value in headers or ():
        if name == TRACEPARENT:
            parent = value or b""
        elif name == TRACESTATE:
            state = value or b""
    return read_traceparent(parent, state) if parent else None


def http_context(headers: Iterable[tuple[bytes, bytes]]) -> TraceContext | None:
    """The context that the headers of an ASGI scope tell, if any."""
    return context_of((_HTTP_NAMES[name], value) for name, value in headers if name in _HTTP_NAMES)


def trace_headers(headers: RecordHeaders | None) -> tuple[tuple[str, bytes], ...]:
    """Those of a record's headers that tell its trace, as they are; what no sender of traces makes is left out."""
    if not headers:
        return ()
    return tuple(h for h in headers if h[0] in (TRACEPARENT, TRACESTATE) and len(h[1] or b"") <= _LONGEST)


def headers_of(context: TraceContext | None) -> tuple[tuple[str, bytes], ...]:
    """The record headers that tell a context."""
    if context is None:
        return ()
    parent = (TRACEPARENT, f"00-{context.trace_id}-{context.span_id}-{context.flags:02x}".encode())
    return (parent, (TRACESTATE, context.state.encode())) if context.state else (parent,)


_current: ContextVar[TraceContext | None] = ContextVar("ops_trace_context", default=None)


def current() -> TraceContext | None:
    """The context of what is being done."""
    return _current.get()


def forget() -> None:
    """What is done from here on belongs to no trace: for a task that was started by whoever came first."""
    _current.set(None)


@contextmanager
def under(context: TraceContext | None) -> Iterator[None]:
    """What is done and logged in the block belongs to `context`."""
    token = _current.set(context)
    try:
        yield
    finally:
        _current.reset(token)


def _read_state(state: bytes) -> str:
    """As it is, or nothing where it is too long to hand on or no printable ASCII."""
    if len(state) > _MAX_STATE or not all(0x20 <= byte <= 0x7E for byte in state):  # noqa: PLR2004 - ASCII
        return ""
    return state.decode("ascii").strip()
