"""When an event is due, where a file is to be sent as fast as it was recorded, or N times as fast."""

import time
from collections.abc import Callable
from typing import Final

MAX: Final = 0.0
"""The speed that never waits."""

_TICK_SECONDS: Final = 0.02
_MICROSECONDS: Final = 1_000_000


class Pace:
    """`speed` seconds of the recording pass in one second; the first timed event is due at once."""

    def __init__(self, speed: float = MAX, clock: Callable[[], float] = time.monotonic) -> None:
        self._speed = speed
        self._clock = clock
        self._start: tuple[float, int] | None = None

    def pause(self, event_time: int | None) -> float:
        """Seconds to wait before an event of this time (microseconds); 0 for one that is due, untimed or late."""
        if self._speed == MAX or event_time is None:
            return 0.0
        if self._start is None:
            self._start = (self._clock(), event_time)
        began, first = self._start
        wait = began + (event_time - first) / _MICROSECONDS / self._speed - self._clock()
        return wait if wait > _TICK_SECONDS else 0.0


def parse_speed(text: str) -> float:
    """The speed that a person typed: `max` or a positive number.

    Raises:
        ValueError: it is neither.
    """
    if text == "max":
        return MAX
    speed = float(text)
    if not 0 < speed < float("inf"):
        raise ValueError(text)
    return speed
