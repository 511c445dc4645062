"""RFC 6587: messages out of a stream, however it is torn into reads."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_gateway.formats.syslog_frames import MAX_MESSAGE_BYTES, Frame, Frames

MESSAGES = st.lists(st.binary(max_size=40).map(b"<13>".__add__), min_size=1, max_size=12)
LINES = st.lists(
    st.binary(max_size=40).map(lambda octets: b"<13>" + octets.replace(b"\n", b"").replace(b"\0", b"").strip()),
    min_size=1,
    max_size=12,
)
TEARS = st.lists(st.integers(0, 600), max_size=20)


def _counted(*messages: bytes) -> bytes:
    return b"".join(b"%d %b" % (len(message), message) for message in messages)


def _read(stream: bytes, tears: list[int] | None = None) -> tuple[list[bytes], Frames]:
    """What comes out of a stream that arrives in pieces."""
    frames, found = Frames(), []
    edges = [0, *sorted(tear for tear in tears or [] if tear < len(stream)), len(stream)]
    for start, end in pairwise(edges):
        found += [frame.value for frame in frames.feed(stream[start:end])]
    return found, frames


@given(MESSAGES, TEARS)
def test_counted_messages_come_out_as_they_went_in(messages: list[bytes], tears: list[int]) -> None:
    """Whatever octets they hold, and wherever the reads end."""
    found, frames = _read(_counted(*messages), tears)
    assert found == messages
    assert (frames.fault, frames.end(), frames.is_within_message) == (None, None, False)


@given(LINES, TEARS, st.sampled_from([b"\n", b"\r\n", b"\0"]))
def test_lines_come_out_as_they_went_in(messages: list[bytes], tears: list[int], trailer: bytes) -> None:
    """With any of the trailers that senders write."""
    found, frames = _read(b"".join(message + trailer for message in messages), tears)
    assert found == messages
    assert frames.end() is None


@given(st.lists(st.sampled_from([b"12 ", b"3", b" ", b"<1>", b"\n", b"\0", b"ab", b"0 "]), max_size=30), TEARS)
def test_no_stream_is_read_differently_when_it_is_torn(pieces: list[bytes], tears: list[int]) -> None:
    """Not even one that breaks the rules of both framings."""
    stream = b"".join(pieces)
    whole, at_once = _read(stream)
    torn, in_pieces = _read(stream, tears)
    assert torn == whole
    assert (at_once.fault is None) == (in_pieces.fault is None)
    assert at_once.end() == in_pieces.end()


@pytest.mark.parametrize("line", [b"2026-11-24 it broke", b"5 of 6 replicas are away", b"12", b"7 "])
def test_a_line_that_begins_with_a_number_is_no_count(line: bytes) -> None:
    """Only a number, a space and the bracket of a priority are."""
    assert _read(line + b"\nnext\n")[0] == [line, b"next"]


def test_a_last_line_may_lack_its_trailer() -> None:
    """As from a shell: printf into nc."""
    found, frames = _read(b"<13>one\n<13>two")
    assert (found, frames.end()) == ([b"<13>one"], Frame(b"<13>two"))


def test_a_counted_message_that_never_came_whole_is_none() -> None:
    """Its sender knows that it was not taken, and what it would mean is open."""
    found, frames = _read(b"6 <13>ab9 <13>a")
    assert (found, frames.is_within_message, frames.end()) == ([b"<13>ab"], True, None)


def test_where_a_count_should_stand_nothing_else_is_guessed() -> None:
    """What stood before it is kept, what comes after it is not read."""
    found, frames = _read(b"6 <13>ab<13>no count\n6 <13>ab")
    assert found == [b"<13>ab"]
    assert frames.fault == "expected the octet count of a message, found b'<13>no count\\n6 <13>ab'"


@pytest.mark.parametrize("tears", [[], list(range(1_000, 200_000, 1_000))])
@pytest.mark.parametrize("is_counted", [True, False])
def test_a_message_that_is_too_long_is_cut_and_the_next_one_is_whole(tears: list[int], *, is_counted: bool) -> None:
    """So nobody makes the gateway hold more than that."""
    long, after = b"<13>" + b"x" * 150_000, b"<13>after"
    stream = _counted(long, after) if is_counted else long + b"\n" + after + b"\n"
    frames, found, held = Frames(), [], 0
    edges = [0, *tears, len(stream)]
    for start, end in pairwise(edges):
        found += list(frames.feed(stream[start:end]))
        held = max(held, len(frames._buffer))
    assert [(len(frame.value) <= MAX_MESSAGE_BYTES, frame.is_cut) for frame in found] == [(True, True), (True, False)]
    assert long.startswith(found[0].value)
    assert found[1].value == after
    assert held <= MAX_MESSAGE_BYTES + 1_000 + 7
