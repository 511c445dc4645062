"""An even draw in bounded memory, the same whatever the order of reading."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer_worker.evidence.draw import Draw, rank, windows
from schemas.incident import AttachedEvent, EventPosition

POSITIONS = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 3)), max_size=80)


@given(POSITIONS, st.integers(1, 20), st.randoms())
def test_the_positions_of_lowest_rank_are_drawn(
    positions: list[tuple[int, int]], size: int, chance: random.Random
) -> None:
    """What sorting all of them gives, in any order of reading and with repeats."""
    draw = Draw(size)
    for part in (positions, chance.sample(positions, len(positions))):
        draw.add(AttachedEvent(offset, index, 0) for offset, index in part)
    lowest = sorted(set(positions), key=lambda position: rank(*position))[:size]
    assert draw.positions() == [EventPosition(*position) for position in sorted(lowest)]
    assert draw.seen == 2 * len(positions)


def test_the_draw_is_even() -> None:
    """Each tenth of a long incident has about a tenth of the draw."""
    draw = Draw(500)
    draw.add(AttachedEvent(offset, index, offset * 60_000_000) for offset in range(1_000) for index in range(20))
    tenths = [sum(position.offset // 100 == tenth for position in draw.positions()) for tenth in range(10)]
    assert min(tenths) > 25
    assert max(tenths) < 80
    assert draw.per_minute == dict.fromkeys(range(1_000), 20)


@given(st.integers(0, 10**9), st.integers(0, 10**6))
def test_windows_are_bounded_and_reach_both_ends(start: int, length: int) -> None:
    """All where it is little, else as much as is allowed, spread evenly."""
    found = list(windows(start, start + length, 1_000, 20))
    assert (found[0].start, found[-1].stop) == (start, start + length)
    assert sum(len(window) for window in found) == min(length, 1_000)
    assert all(one.stop <= other.start for one, other in pairwise(found))


@pytest.mark.parametrize(("offset", "index"), [(0, 0), (2**62, 5_000), (1, 2**31)])
def test_a_rank_has_64_bits(offset: int, index: int) -> None:
    """Whatever the position."""
    assert 0 <= rank(offset, index) < 2**64
