"""Trace contexts are read as the W3C recommendation has it, and what is none is as if it were not there."""

import string

from hypothesis import example, given
from hypothesis import strategies as st

from runtime.trace_context import (
    TraceContext,
    context_of,
    current,
    headers_of,
    http_context,
    read_traceparent,
    trace_headers,
    under,
)

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CONTEXT = TraceContext(TRACE, SPAN, 1)

hexadecimal = st.text("0123456789abcdef", min_size=1, max_size=34)
parts = st.lists(hexadecimal | st.text(string.printable, max_size=5), min_size=1, max_size=6)
well_formed = st.tuples(
    st.sampled_from(["00", "01", "cc", "ff"]),
    st.text("0123456789abcdef", min_size=32, max_size=32),
    st.text("0123456789abcdef", min_size=16, max_size=16),
    st.text("0123456789abcdef", min_size=2, max_size=2),
).map("-".join)


def naive(text: str) -> TraceContext | None:
    """The recommendation word by word, for a text without spaces around it."""
    fields = text.split("-")
    if len(fields) < 4 or [len(field) for field in fields[:4]] != [2, 32, 16, 2]:
        return None
    if any(character not in "0123456789abcdef" for field in fields[:4] for character in field):
        return None
    version, trace, span, flags = fields[:4]
    if version == "ff" or (version == "00" and len(fields) > 4):
        return None
    if set(trace) == {"0"} or set(span) == {"0"}:
        return None
    return TraceContext(trace, span, int(flags, 16))


@given(st.one_of(well_formed, parts.map("-".join), well_formed.map(lambda text: text + "-more")))
@example(f"00-{TRACE}-{SPAN}-01")
@example(f"00-{TRACE}-{SPAN}-01-more")
@example(f"00-{TRACE.upper()}-{SPAN}-01")
@example(f"00-{'0' * 32}-{SPAN}-01")
@example(f"00-{TRACE}-{'0' * 16}-01")
def test_a_traceparent_is_read_as_the_recommendation_says(text: str) -> None:
    """Against its rules one by one."""
    if text == text.strip(" \t") and "\n" not in text:
        assert read_traceparent(text.encode()) == naive(text)


@given(st.binary(max_size=80))
def test_any_bytes_are_a_trace_or_none(value: bytes) -> None:
    """Never an error: headers come from strangers."""
    found = context_of([("traceparent", value), ("tracestate", value)])
    assert found is None or headers_of(found)[0][1]


def test_a_context_survives_its_headers() -> None:
    """What is written for the next service is what it reads."""
    context = CONTEXT._replace(state="shop=7,other=1")
    assert context_of(headers_of(context)) == context
    assert http_context([(name.encode(), value) for name, value in headers_of(context)]) == context
    assert headers_of(None) == ()


def test_a_state_that_cannot_be_handed_on_is_left_out() -> None:
    """Too long, or no printable ASCII; the trace itself goes on."""
    parent = headers_of(CONTEXT)[0][1]
    assert read_traceparent(parent, b"x" * 513) == CONTEXT
    assert read_traceparent(parent, b"shop=\xff") == CONTEXT


def test_only_headers_of_the_trace_are_handed_on_as_they_are() -> None:
    """The others are the producer's own matter."""
    headers = [("traceparent", b"anything"), ("mine", b"1"), ("tracestate", b"shop=7")]
    assert trace_headers(headers) == (headers[0], headers[2])
    assert trace_headers(None) == ()


def test_a_block_belongs_to_its_trace_and_what_follows_does_not() -> None:
    """Blocks may lie within blocks."""
    with under(CONTEXT):
        with under(None):
            assert current() is None
        assert current() == CONTEXT
    assert current() is None
