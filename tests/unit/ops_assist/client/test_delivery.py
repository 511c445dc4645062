"""Every decision of a client: whatever is logged and answered, what was queued arrives, once by id and in order."""

import json
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ops_assist.client.answers import Answer
from ops_assist.client.delivery import Delivery, Dropped, Failing, Recovered, Rejected, Rest, Send
from ops_assist.client.limits import LEAST_BYTES, Limits
from ops_assist.client.outbox import Item
from tests.unit.ops_assist.client.items import item

_UNAVAILABLE = Answer(503, b'{"detail": "the broker cannot be reached"}')


def _taken(count: int, rejected: Sequence[int] = ()) -> Answer:
    body = {"accepted": count - len(rejected), "rejected": [{"index": index, "errors": []} for index in rejected]}
    return Answer(207 if rejected else 201, json.dumps(body).encode())


def _sent(delivery: Delivery, now: float) -> list[str]:
    step = delivery.step(now)
    assert isinstance(step, Send)
    return [item.id for item in step.items]


def test_events_wait_a_moment_for_others_and_a_batch_does_not() -> None:
    """One request for many events, and none later than `linger`."""
    delivery = Delivery(Limits(linger=2, batch_events=3))
    assert delivery.step(0) == Rest(None)
    delivery.offer(item("a"), 10)
    delivery.offer(item("b"), 11)
    assert delivery.step(11) == Rest(12)
    delivery.offer(item("c"), 11)
    assert _sent(delivery, 11) == ["a", "b", "c"]


def test_a_flush_waits_for_nothing() -> None:
    """Neither for company nor for the end of a backoff, but it skips no more than one wait."""
    delivery = Delivery(Limits(linger=5))
    delivery.offer(item("a"), 10)
    delivery.hurry(10)
    assert _sent(delivery, 10) == ["a"]
    delivery.answered(_UNAVAILABLE, 10, 0)
    assert delivery.step(10) == Rest(10.2)
    delivery.hurry(10)
    assert _sent(delivery, 10) == ["a"]
    delivery.answered(_UNAVAILABLE, 10, 0)
    assert delivery.step(10) == Rest(10.4)


def test_a_batch_is_sent_again_as_it_was() -> None:
    """The same bytes, so the same ids; what came meanwhile waits behind it."""
    delivery = Delivery(Limits(linger=0))
    delivery.offer(item("a"), 0)
    first = delivery.step(0)
    delivery.offer(item("b"), 0)
    delivery.answered(Answer(0, reason="connection reset"), 0, 0)
    assert delivery.step(60) == first
    delivery.answered(_taken(1), 60, 0)
    assert _sent(delivery, 60) == ["b"]


def test_a_batch_that_is_too_large_is_sent_in_halves() -> None:
    """In order, down to the one event at fault, which alone is refused."""
    delivery = Delivery(Limits(linger=0))
    for name in "abcde":
        delivery.offer(item(name), 0)
    too_large, arrived = Answer(413, b"<html>"), list[str]()
    while isinstance(step := delivery.step(0), Send):
        names = [sent.id for sent in step.items]
        fits = "d" not in names and len(names) <= 2
        arrived += names if fits else []
        delivery.answered(_taken(len(names)) if fits else too_large, 0, 0)
    assert arrived == ["a", "b", "c", "e"]
    assert (delivery.stats.delivered, delivery.stats.rejected, delivery.stats.held) == (4, 1, 0)


def test_an_outage_is_told_once_and_so_is_its_end() -> None:
    """Not at the first failure: a restart of the gateway is no news."""
    delivery = Delivery(Limits(linger=0))
    delivery.offer(item("a"), 0)
    told = []
    for now in range(0, 500, 100):
        assert isinstance(delivery.step(now), Send)
        told.append(delivery.answered(_UNAVAILABLE, now, 0))
    failing = Failing("503 the broker cannot be reached", 1)
    assert told == [[], [], [failing], [], []]
    delivery.step(600)
    assert delivery.answered(_taken(1), 600, 0) == [Recovered(5)]


def test_a_refused_event_is_told_with_its_reason() -> None:
    """Nothing vanishes without a word."""
    delivery = Delivery(Limits(linger=0))
    delivery.offer(item("a"), 0)
    delivery.step(0)
    assert delivery.answered(_taken(1, rejected=[0]), 0, 0) == [Rejected(1, "no reason was given")]


def test_what_was_dropped_is_told_when_there_is_room_again() -> None:
    """Once, with all that went since, and how many of it were errors."""
    delivery = Delivery(Limits(linger=0, max_events=2))
    for number in range(5):
        delivery.offer(item(str(number), urgent=number > 1), 0)
    delivery.drop_unseen()
    delivery.step(0)
    assert delivery.answered(_taken(2), 0, 0) == [Dropped(4, 1)]
    delivery.offer(item("later"), 1)
    delivery.step(1)
    assert delivery.answered(_taken(1), 1, 0) == []


class DeliveryAgainstAGateway(RuleBasedStateMachine):
    """A gateway that takes, loses its acknowledgement, refuses, hangs up and finds bodies too large, as it pleases.

    The oracle is the list of what was offered and what its offer said.
    """

    def __init__(self) -> None:
        super().__init__()
        self.limits = Limits(max_events=12, max_bytes=LEAST_BYTES, batch_events=5, linger=1)
        self.delivery = Delivery(self.limits)
        self.now = 0.0
        self.offered: dict[str, Item] = {}
        self.log: list[str] = []
        self.rejected: set[str] = set()
        self.told_dropped = 0

    @rule(service=st.sampled_from("ab"), urgent=st.booleans(), large=st.booleans())
    def log_an_event(self, service: str, urgent: bool, large: bool) -> None:  # noqa: FBT001
        new = item(str(len(self.offered)), service=service, urgent=urgent, size=400_000 if large else 10)
        held_before = self.delivery.stats
        self.offered[new.id] = new
        fitted = self.delivery.fits(new)
        queued = self.delivery.offer(new, self.now)
        assert queued or not fitted
        assert self.delivery.stats.dropped == held_before.dropped or not fitted

    @rule(seconds=st.floats(0, 3))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def flush(self) -> None:
        self.delivery.hurry(self.now)

    @rule(
        fate=st.sampled_from(["take", "take", "lose", "503", "hang up", "too large", "html"]),
        jitter=st.floats(0, 1),
        unfit=st.sets(st.integers(0, 4)),
    )
    def request(self, fate: str, jitter: float, unfit: set[int]) -> None:
        step = self.delivery.step(self.now)
        if not isinstance(step, Send):
            assert step.until is None or step.until > self.now
            return
        self._answer(step, fate, jitter, {index for index in unfit if index < len(step.items)})

    def _answer(self, step: Send, fate: str, jitter: float, unfit: set[int]) -> None:
        names = [sent.id for sent in step.items]
        assert 1 <= len(names) <= self.limits.batch_events
        answer = _UNAVAILABLE
        if fate in {"take", "lose"}:
            bad = unfit if fate == "take" else set[int]()
            self.log += [name for index, name in enumerate(names) if index not in bad]
            self.rejected |= {names[index] for index in bad}
            answer = _taken(len(names), sorted(bad)) if fate == "take" else Answer(0, reason="hung up")
        elif fate == "too large":
            answer = Answer(413)
            self.rejected |= set(names) if len(names) == 1 else set()
        elif fate == "html":
            answer = Answer(200, b"<html>")
        news = self.delivery.answered(answer, self.now, jitter)
        self.told_dropped += sum(told.count for told in news if isinstance(told, Dropped))

    @invariant()
    def every_event_is_counted_once(self) -> None:
        stats = self.delivery.stats
        assert stats.offered == len(self.offered)
        assert stats.offered == stats.delivered + stats.rejected + stats.dropped + stats.held
        assert stats.held <= self.limits.max_events
        assert self.told_dropped <= stats.dropped

    def teardown(self) -> None:
        """The gateway recovers: all that was not dropped or refused is in its log, by first appearance in order."""
        for _ in range(1_000):
            step = self.delivery.step(self.now)
            if isinstance(step, Send):
                self._answer(step, "take", 0, set())
            elif step.until is None:
                break
            else:
                self.now = step.until
        stats = self.delivery.stats
        assert stats.held == 0
        once = list(dict.fromkeys(self.log))
        assert len(set(once) - self.rejected) == stats.delivered
        assert stats.delivered + len(self.rejected) + stats.dropped == len(self.offered)
        assert self.told_dropped == stats.dropped
        for service in "ab":
            order = [int(name) for name in once if self.offered[name].service == service]
            assert order == sorted(order)


TestDeliveryAgainstAGateway = DeliveryAgainstAGateway.TestCase


@given(st.lists(st.sampled_from(["503", "hang up", "lose", "too large"]), max_size=30), st.integers(1, 40))
def test_within_the_bound_nothing_is_lost(faults: list[str], count: int) -> None:
    """Any outage, any number of retries: each event is in the log, at least once, and once by its id."""
    delivery, log, now = Delivery(Limits(max_events=40, batch_events=7, linger=0)), list[str](), 0.0
    for number in range(count):
        assert delivery.offer(item(str(number)), now)
    while isinstance(step := delivery.step(now), Send):
        names = [sent.id for sent in step.items]
        fault = faults.pop(0) if faults else "take"
        if fault == "too large" and len(names) == 1:
            fault = "503"
        log += names if fault in {"take", "lose"} else []
        answer = {"take": _taken(len(names)), "too large": Answer(413), "503": _UNAVAILABLE}.get(fault, Answer(0))
        delivery.answered(answer, now, 0)
        now += 100
    assert list(dict.fromkeys(log)) == [str(number) for number in range(count)]
    assert delivery.stats.delivered == count
