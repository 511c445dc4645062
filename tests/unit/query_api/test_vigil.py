"""The vigil: the alarm goes up when no incident comes, also when the view is away, and down again."""

import time

import pytest
from prometheus_client import REGISTRY

from query_api.database import DatabaseAway
from query_api.sight import Seen
from query_api.vigil import Vigil


class View:
    """A view that shows what it is told to."""

    def __init__(self, seen: Seen | None) -> None:
        self.seen = seen

    async def read(self) -> Seen:
        """What there is, or that it is away."""
        if self.seen is None:
            raise DatabaseAway("no connection")
        return self.seen


class Clock:
    """The wall clock, where a test wants it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = time.time()
        monkeypatch.setattr("query_api.vigil.time.time", lambda: self.now)


def gauge() -> float | None:
    return REGISTRY.get_sample_value("ops_api_blind")


async def test_the_alarm_goes_up_and_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the metric, the answer and what is kept for those who ask in between."""
    clock = Clock(monkeypatch)
    view = View(Seen((0,), {0: clock.now}))
    vigil = Vigil(view, 60)

    assert await vigil.look() is None
    clock.now += 181
    assert await vigil.look() is not None
    assert (gauge(), vigil.blind is not None) == (1.0, True)
    view.seen = Seen((0,), {0: clock.now})
    assert await vigil.look() is None
    assert (gauge(), vigil.blind) == (0.0, None)
    assert REGISTRY.get_sample_value("ops_api_canary_age_seconds") == 0.0


async def test_a_view_that_is_away_makes_blind_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was seen last holds until it is too old; why the view does not answer is told at once."""
    clock = Clock(monkeypatch)
    view = View(Seen((0,), {0: clock.now}))
    vigil = Vigil(view, 60)
    await vigil.look()
    view.seen = None

    clock.now += 100
    assert await vigil.look() is None
    assert vigil.unavailable == "no connection"
    clock.now += 100
    assert await vigil.look() is not None


async def test_without_a_canary_nobody_is_blind(monkeypatch: pytest.MonkeyPatch) -> None:
    """CANARY_INTERVAL=0: nothing is waited for."""
    clock = Clock(monkeypatch)
    vigil = Vigil(View(Seen()), 0)
    clock.now += 10_000

    assert await vigil.look() is None
