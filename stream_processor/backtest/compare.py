"""Two sets of incidents of the same log: what one has and the other has not, what differs, and why."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from schemas.timestamps import MICROSECONDS
from stream_processor.backtest.findings import Findings, Found
from stream_processor.near_misses import NearMiss


class Difference(msgspec.Struct, frozen=True):
    """An incident that only one side has, and why in a sentence."""

    incident: Found
    reason: str


class Changed(msgspec.Struct, frozen=True):
    """An incident that both sides have, but not alike; `differences` says how, one sentence each."""

    before: Found
    after: Found
    differences: list[str]


class Comparison(msgspec.Struct, frozen=True):
    """What only `after` has (added), what only `before` has (lost), what differs, and how many are the same."""

    added: list[Difference]
    lost: list[Difference]
    changed: list[Changed]
    same: int


def compare(before: Findings, after: Findings) -> Comparison:
    """Pair the incidents of each service, those that have most time in common first, and tell the differences."""
    pairs, alone_before, alone_after = _pair(before.incidents, after.incidents)
    told = [Changed(old, new, differences) for old, new in pairs if (differences := _differences(old, new))]
    return Comparison(
        [Difference(one, _why_added(one, before)) for one in alone_after],
        [Difference(one, _why_lost(one, after)) for one in alone_before],
        told,
        len(pairs) - len(told),
    )


def _pair(
    before: Sequence[Found], after: Sequence[Found]
) -> tuple[list[tuple[Found, Found]], list[Found], list[Found]]:
    """The pairs by the first event of the newer side, and what found no partner."""
    by_service: dict[str, list[Found]] = defaultdict(list)
    for one in before:
        by_service[one.service].append(one)
    close = [(_closeness(old, new), old, new) for new in after for old in _touching(by_service[new.service], new)]
    close.sort(key=lambda found: (found[0], found[1].first_event_at, found[1].key, found[2].key))
    partners: dict[str, Found] = {}
    taken: set[str] = set()
    for _, old, new in close:
        if old.key not in taken and new.key not in partners:
            partners[new.key] = old
            taken.add(old.key)
    pairs = [(partners[new.key], new) for new in after if new.key in partners]
    return pairs, [one for one in before if one.key not in taken], [one for one in after if one.key not in partners]


def _closeness(old: Found, new: Found) -> tuple[bool, bool, int]:
    """Smaller is closer: the same incident, one of the same rule, the more time in common."""
    common = min(old.last_event_at, new.last_event_at) - max(old.first_event_at, new.first_event_at)
    return old.key != new.key, old.rule != new.rule, -common


def _touching(incidents: Iterable[Found], other: Found) -> Iterable[Found]:
    return (
        one
        for one in incidents
        if one.first_event_at <= other.last_event_at and other.first_event_at <= one.last_event_at
    )


def _differences(before: Found, after: Found) -> list[str]:
    told = []
    if before.rule != after.rule:
        told.append(f"rule {before.rule} became {after.rule}")
    told += _moved("detected", after.detected_at - before.detected_at)
    told += _moved("begins", after.first_event_at - before.first_event_at)
    told += _moved("ends", after.last_event_at - before.last_event_at)
    if before.event_count != after.event_count:
        told.append(f"{before.event_count} events became {after.event_count}")
    return told


def _moved(what: str, by: int) -> list[str]:
    return [f"{what} {abs(by) / MICROSECONDS:g} s {'later' if by > 0 else 'earlier'}"] if by else []


def _why_added(one: Found, before: Findings) -> str:
    return f"{one.reason}; {_standing(one, before)}"


def _why_lost(one: Found, after: Findings) -> str:
    """What became of the events of an incident that is no more."""
    return f"it opened by {one.reason}; {_standing(one, after)}"


def _standing(one: Found, others: Findings) -> str:
    """What the other side makes of the same time."""
    touching = list(_touching((other for other in others.incidents if other.service == one.service), one))
    if touching:
        return f"on the other side its time belongs to {', '.join(f'{other.rule} {other.key}' for other in touching)}"
    near = [miss for miss in others.near_misses if miss.service == one.service and _overlaps(miss, one)]
    if near:
        best = max(near, key=lambda miss: miss.count)
        return f"on the other side {best.rule} had {best.count} events within its window at most, too few"
    return "on the other side no rule had as many as 80% of its threshold within its window"


def _overlaps(miss: NearMiss, one: Found) -> bool:
    return miss.first <= one.last_event_at and one.first_event_at <= miss.last
