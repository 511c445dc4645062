"""The log's clock: how long a partition has been heard, told by its records alone.

Silence can only be told by a clock, and the clock of a worker would tell another time in each replay. Here time goes on
by the records of a partition: from one to the next by the difference of their append times, but never by more than
`MOST_GAP`. So every replay sees the same time at the same record, a worker that is behind has a clock that is behind,
and while nothing can be appended (the broker is away, no worker runs) the clock stands still.

Where the canary sends, its records alone move time on: they come through the gateway, so that a gateway which nobody
reaches is not taken for services that say nothing.
"""

from bisect import bisect_left
from collections.abc import Iterable
from heapq import heapify, heappop, heappush
from typing import Final, NamedTuple, Protocol

import msgspec

from schemas.canary import is_pulse
from schemas.timestamps import MICROSECONDS

MOST_GAP: Final = 10 * MICROSECONDS
"""How much time one record can bring, in microseconds; what is longer is an outage."""

TICK_SECONDS: Final = 4.0
"""After so long without a record a worker writes one that holds no event, so that time goes on."""

TICK: Final = b"[]"
"""The value of such a record: an array of no events."""


STALE: Final = 2 * MOST_GAP
"""A pulse that was appended so long before now, in microseconds, is no sign of life any more."""


class Timed(Protocol):
    """A record with its place, key and append time; `timestamp` is in milliseconds."""

    offset: int
    timestamp: int
    key: bytes | None


class Moment(NamedTuple):
    """A record as the clock saw it. `heard` and `at`, its append time, are in microseconds."""

    offset: int
    heard: int
    at: int


class Timeline:
    """The clock while some consecutive records were read, the newest of which it has not seen before."""

    def __init__(self, start: "LogClock", moments: list[Moment]) -> None:
        self._start = start
        self._moments = moments
        self._heard = {moment.offset: moment.heard for moment in moments}

    @property
    def heard(self) -> int:
        """The clock at the last record."""
        return self._moments[-1].heard if self._moments else self._start.heard

    def heard_at(self, offset: int) -> int:
        """The clock at the record of this offset."""
        return self._heard.get(offset, self._start.heard)

    def first_from(self, heard: int) -> Moment | None:
        """The first of these records at which the clock has come to `heard`."""
        place = bisect_left(self._moments, heard, key=lambda moment: moment.heard)
        return self._moments[place] if place < len(self._moments) else None


class LogClock(msgspec.Struct, array_like=True, frozen=True):
    """The clock of a partition after the record at `offset`. All times are append times in microseconds.

    `at`: the greatest so far. `pulse_at`: that of the last pulse of the canary; None: there was none. `unbroken_since`:
    the first pulse since which no two were further apart than `MOST_GAP`.
    """

    offset: int = -1
    heard: int = 0
    at: int | None = None
    pulse_at: int | None = None
    unbroken_since: int | None = None

    def read(self, records: Iterable[Timed], *, by_pulse: bool = True) -> tuple["LogClock", Timeline]:
        """The clock after these records; those that it includes are skipped.

        `by_pulse`: once there was a pulse, only pulses move time on; else all records do.
        """
        offset, heard, newest, pulse, since = self.offset, self.heard, self.at, self.pulse_at, self.unbroken_since
        if not by_pulse:
            pulse = since = None
        moments = []
        for record in records:
            if record.offset <= offset:
                continue
            offset, at = record.offset, record.timestamp * 1_000
            before, newest = newest, at if newest is None else max(at, newest)
            beats = by_pulse and is_pulse(record.key)
            if beats or pulse is None:
                before = before if pulse is None else pulse
                heard += min(max(0, at - (at if before is None else before)), MOST_GAP)
            if beats:
                since = at if pulse is None or since is None or at - pulse > MOST_GAP else since
                pulse = at if pulse is None else max(at, pulse)
            moments.append(Moment(offset, heard, at))
        return LogClock(offset, heard, newest, pulse, since), Timeline(self, moments)

    def hears_since(self, now: int) -> int | None:
        """Since when all that was sent to the gateway was heard, as of `now` (wall clock, microseconds).

        None while it is not known to be heard: the pipeline is blind, or has yet to read what lies before it. Without a
        canary nobody can tell, and it is taken for heard.
        """
        if self.pulse_at is None:
            return 0
        return self.unbroken_since if now - self.pulse_at <= STALE else None


def has_pulse(records: Iterable[Timed]) -> bool:
    """Whether one of them is the canary's."""
    return any(is_pulse(record.key) for record in records)


class Deadlines:
    """When the silence of each service of a partition decides something, on the log's clock.

    A deadline that moves on costs nothing: the old one is looked at when it comes.
    """

    def __init__(self, deadlines: Iterable[tuple[int, str]] = ()) -> None:
        self._heap = list(deadlines)
        heapify(self._heap)
        self._soonest = {service: due for due, service in sorted(self._heap, reverse=True)}

    def __len__(self) -> int:
        """How many services have, or had lately, a deadline."""
        return len(self._soonest)

    def put(self, service: str, due: int | None) -> None:
        """The deadline of a service is `due`; None: it has none."""
        if due is not None and due < self._soonest.get(service, due + 1):
            self._soonest[service] = due
            heappush(self._heap, (due, service))

    def take(self, heard: int) -> list[str]:
        """The services that may have come to their deadline; each is to be put again."""
        found = []
        while self._heap and self._heap[0][0] <= heard:
            due, service = heappop(self._heap)
            if self._soonest.get(service) == due:
                del self._soonest[service]
                found.append(service)
        return found
