"""Naive answers for rules of the watching kinds: all events sorted, every window counted anew. Times in seconds."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

Span = tuple[int, int, int]
"""Event count, first and last event time of an incident."""


class Sent(NamedTuple):
    """An event of one service: `template` stands for its message."""

    time: int
    is_error: bool
    template: str


def chained(times: Iterable[int], quiet: int) -> list[Span]:
    """The incidents of events that each are one, or add to the one before; `quiet` 0: never ends."""
    groups: list[list[int]] = []
    for time in sorted(times):
        if groups and (not quiet or time - groups[-1][-1] <= quiet):
            groups[-1].append(time)
        else:
            groups.append([time])
    return [(len(group), group[0], group[-1]) for group in groups]


def rate_qualifying(
    events: Sequence[Sent], *, window: int, multiple: float, floor: int, baseline: int, learning: int, lateness: int
) -> list[int]:
    """The times of errors in windows above both limits."""
    found: list[int] = []
    for number in {event.time // window for event in events}:
        first = min(event.time for event in events) // window
        known = [n for n in range(first, number) if (n + 1) * window <= number * window - lateness]
        counts = sorted(sum(e.is_error and e.time // window == n for e in events) for n in known[-baseline:])
        mine = [event.time for event in events if event.is_error and event.time // window == number]
        if len(known) < learning:
            continue
        middle = len(counts) // 2
        median = counts[middle] if len(counts) % 2 else (counts[middle - 1] + counts[middle]) / 2
        if len(mine) > multiple * median and len(mine) > floor:
            found += mine
    return found


def ratio_qualifying(events: Sequence[Sent], *, window: int, share: float, minimum: int, lateness: int) -> list[int]:
    """The times of errors in windows that are final and whose share is reached."""
    newest = max(event.time for event in events)
    found: list[int] = []
    for number in {event.time // window for event in events}:
        members = [event for event in events if event.time // window == number]
        mine = [event.time for event in members if event.is_error]
        is_final = (number + 1) * window <= newest - lateness
        if is_final and mine and len(members) >= minimum and len(mine) / len(members) >= share:
            found += mine
    return found


def pattern_qualifying(
    events: Sequence[Sent], *, window: int, threshold: int, learning: int, lateness: int
) -> list[int]:
    """The times of the first errors of templates that are new, where they are final."""
    start, newest = min(event.time for event in events), max(event.time for event in events)
    found: list[int] = []
    for template in {event.template for event in events}:
        times = sorted(event.time for event in events if event.is_error and event.template == template)
        if times and start + learning < times[0] <= newest - lateness:
            mine = [time for time in times if time <= times[0] + window]
            if len(mine) >= threshold:
                found += mine
    return found


class Silence(NamedTuple):
    """An incident of an absence rule: the time of its one event, and whether the service was heard again."""

    time: int
    is_over: bool


def silences(
    records: Sequence[tuple[float, int | None]], *, window: float, threshold: int, most_gap: float
) -> list[Silence]:
    """What records of one partition tell of one service: (append time, event time of its event, or none of its)."""
    found: list[Silence] = []
    heard, newest = 0.0, records[0][0] if records else 0.0
    since: list[int] = []
    last = 0.0
    for at, time in records:
        heard += max(0.0, min(at - newest, most_gap))
        newest = max(newest, at)
        if len(since) >= threshold and heard - last >= window:
            found.append(Silence(max(since), is_over=False))
            since = []
        if time is not None:
            since.append(time)
            last = heard
            found = [silence._replace(is_over=True) for silence in found]
    return found
