"""The ids that were counted lately are known, in bounded memory, and across rows."""

from collections.abc import Callable
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from stream_processor.recent_ids import ALWAYS_KEPT, MAX_SEGMENTS, SEGMENT, RecentIds, Segment


class Stored:
    """The rows of one service's ids, and the ids read back from them."""

    def __init__(self) -> None:
        self.segments: dict[int, bytes] = {}
        self.ids = RecentIds()

    def restart(self) -> None:
        for number, value in self.ids.take_rows().items():
            self.segments[number] = value or b""
        self.ids = RecentIds(self.ids.row(), self.segments.get)


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("add"), st.integers(1, 700)),
            st.tuples(st.just("forget"), st.integers(0, 40)),
            st.tuples(st.just("restart"), st.just(0)),
        ),
        max_size=12,
    )
)
def test_what_lies_within_the_horizon_is_known(steps: list[tuple[str, int]]) -> None:
    """Against a plain dictionary of all ids: nothing within the horizon is forgotten, nothing unknown is known."""
    stored, times, clock, horizon = Stored(), dict[int, int](), 0, -1
    for what, size in steps:
        if what == "add":
            for _ in range(size):
                clock += len(times) % 3 - 1 if len(times) % 5 else 1
                times[len(times)] = clock
                stored.ids.add(clock, len(times) - 1)
        elif what == "forget":
            horizon = max(horizon, clock - size)
            stored.ids.forget(horizon)
        else:
            stored.restart()

    assert all(number in stored.ids for number, time in times.items() if time >= horizon)
    assert all(number in stored.ids for number in list(times)[-ALWAYS_KEPT:])
    assert len(times) not in stored.ids
    assert len(stored.ids) <= len(times)


FAR: Final = 10**15
FULL: Final = SEGMENT + ALWAYS_KEPT
"""So many ids, and the oldest move."""


def filled(count: int, time: Callable[[int], int] = lambda n: n) -> RecentIds:
    ids = RecentIds()
    for number in range(count):
        ids.add(time(number), number)
    return ids


def test_the_newest_sixteen_are_kept_however_old() -> None:
    """A service that was silent for a year still knows its last ids."""
    ids = filled(100)

    ids.forget(FAR)

    assert [number for number in range(100) if number in ids] == list(range(100 - ALWAYS_KEPT, 100))
    assert len(ids) == ALWAYS_KEPT


def test_the_horizon_itself_is_kept() -> None:
    """An id at the horizon is not late, so a repeat of it has to be known; one before it is forgotten."""
    ids = filled(100)

    ids.forget(50)

    assert 50 in ids
    assert 49 not in ids


def test_a_segment_is_kept_while_its_newest_lies_at_the_horizon() -> None:
    """The whole segment goes when its newest id lies before the horizon, and not a moment earlier."""
    ids = filled(FULL)

    ids.forget(SEGMENT - 1)
    assert 0 in ids
    ids.forget(SEGMENT)
    assert [number for number in range(FULL) if number in ids] == list(range(SEGMENT, FULL))


def test_full_segments_leave_the_row() -> None:
    """The oldest 256 move to a row of their own, which is written once; the newest stay."""
    ids = filled(FULL - 1)
    assert (len(ids.row().tail), ids.take_rows()) == (2 * (FULL - 1), {})

    ids.add(-5, 9)

    assert ids.row().tail[-2:] == [-5, 9]
    assert len(ids.row().tail) == 2 * ALWAYS_KEPT
    assert ids.row().segments == [Segment(0, SEGMENT - 1)]
    assert ids.row().next_number == 1
    assert len(ids.take_rows()[0] or b"") == 8 * SEGMENT
    assert ids.take_rows() == {}


def test_memory_is_bounded() -> None:
    """Of a flood within the horizon the newest 32,768 are known, and the rows of the others are deleted."""
    ids = filled((MAX_SEGMENTS + 2) * SEGMENT + ALWAYS_KEPT, lambda _: 0)
    ids.take_rows()

    ids.forget(0)

    assert len(ids) == MAX_SEGMENTS * SEGMENT + ALWAYS_KEPT
    assert ids.take_rows() == {0: None, 1: None}
    assert 2 * SEGMENT in ids
    assert 2 * SEGMENT - 1 not in ids


def test_a_segment_whose_row_is_gone_is_as_if_forgotten() -> None:
    """A crash between deleting a segment and saying so leaves a row that can be read."""
    row = filled(FULL).row()

    nothing: dict[int, bytes] = {}
    ids = RecentIds(row, nothing.get)
    assert [0 in ids, SEGMENT in ids] == [False, True]
    ids.forget(FAR)

    assert ids.take_rows() == {0: None}
