"""The bounded queue, against a list."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_assist.client.limits import LEAST_BYTES, Limits
from ops_assist.client.outbox import Item, Outbox
from tests.unit.ops_assist.client.items import item

_MIB = 1024 * 1024


def _ids(outbox: Outbox) -> list[str]:
    return [entry.item.id for entry in outbox.take()]


def test_a_full_queue_refuses_what_is_below_error() -> None:
    """What is there stays, in its order."""
    outbox = Outbox(Limits(max_events=2))
    assert [outbox.put(item(name), 0) for name in "abc"] == [[], [], [item("c")]]
    assert _ids(outbox) == ["a", "b"]


def test_an_error_takes_the_place_of_the_oldest_that_is_none() -> None:
    """And of no error; where only errors are held, the new one goes."""
    outbox = Outbox(Limits(max_events=3))
    for name, urgent in (("info", False), ("error", True), ("debug", False)):
        outbox.put(item(name, urgent=urgent), 0)
    assert outbox.put(item("second", urgent=True), 0) == [item("info")]
    assert outbox.put(item("third", urgent=True), 0) == [item("debug")]
    assert outbox.put(item("fourth", urgent=True), 0) == [item("fourth", urgent=True)]
    assert _ids(outbox) == ["error", "second", "third"]


def test_a_large_error_makes_as_much_room_as_it_needs() -> None:
    """The bound on bytes holds as the bound on events does."""
    outbox = Outbox(Limits(max_bytes=LEAST_BYTES))
    for name in "abcd":
        assert outbox.put(item(name, size=_MIB // 2), 0) == []
    gone = outbox.put(item("error", urgent=True, size=_MIB), 0)
    assert [went.id for went in gone] == ["a", "b"]
    assert outbox.held_bytes == 2 * _MIB


def test_what_was_taken_takes_room_until_it_is_released() -> None:
    """A batch under way is held: it may have to be sent again."""
    outbox = Outbox(Limits(max_events=1))
    outbox.put(item("a"), 0)
    (entry,) = outbox.take()
    assert outbox.is_full
    assert outbox.put(item("b", urgent=True), 0) == [item("b", urgent=True)]
    outbox.release(entry.item)
    assert outbox.put(item("c"), 0) == []


@pytest.mark.parametrize(
    "bounds",
    [{"max_events": 0}, {"max_bytes": 1}, {"batch_events": 10_001}, {"batch_bytes": 8 * _MIB}, {"linger": -1.0}],
)
def test_a_bound_that_cannot_be_kept_is_named(bounds: dict[str, int]) -> None:
    """At once, not when the queue is full for the first time."""
    with pytest.raises(ValueError, match=next(iter(bounds))):
        Limits(**bounds)


class _Naive:
    """The same queue as one list."""

    def __init__(self, limits: Limits) -> None:
        self.limits, self.waiting, self.taken = limits, list[Item](), list[Item]()

    def _fits(self, new: Item) -> bool:
        held = self.waiting + self.taken
        return len(held) < self.limits.max_events and (
            sum(len(old.line) for old in held) + len(new.line) <= self.limits.max_bytes
        )

    def put(self, new: Item) -> list[Item]:
        gone = []
        while new.urgent and not self._fits(new) and (calm := [old for old in self.waiting if not old.urgent]):
            gone.append(calm[0])
            self.waiting.remove(calm[0])
        if not self._fits(new):
            return [*gone, new]
        self.waiting.append(new)
        return gone

    def take(self) -> list[Item]:
        batch: list[Item] = []
        while (
            self.waiting
            and len(batch) < self.limits.batch_events
            and sum(len(old.line) for old in batch) < self.limits.batch_bytes
        ):
            batch.append(self.waiting.pop(0))
        self.taken += batch
        return batch


@given(
    st.integers(1, 8),
    st.integers(1, 5),
    st.lists(st.tuples(st.sampled_from(["put", "put", "put", "take", "release"]), st.booleans(), st.integers(1, 3))),
)
def test_it_does_what_a_list_would(max_events: int, batch_events: int, steps: list[tuple[str, bool, int]]) -> None:
    """Whatever is put, taken and released: the same order, the same losses, the same sums."""
    limits = Limits(max_events=max_events, max_bytes=LEAST_BYTES, batch_events=batch_events, batch_bytes=_MIB)
    outbox, naive = Outbox(limits), _Naive(limits)
    for number, (what, urgent, halves) in enumerate(steps):
        if what == "put":
            new = item(str(number), urgent=urgent, size=halves * _MIB // 2)
            assert outbox.put(new, 0) == naive.put(new)
        elif what == "take":
            assert [entry.item for entry in outbox.take()] == naive.take()
        elif naive.taken:
            outbox.release(naive.taken.pop())
        held = naive.waiting + naive.taken
        assert (outbox.held, outbox.held_bytes) == (len(held), sum(len(old.line) for old in held))
        assert (outbox.oldest.item if outbox.oldest else None) == (naive.waiting[0] if naive.waiting else None)
        assert outbox.is_full or held == [] or len(held) < max_events
