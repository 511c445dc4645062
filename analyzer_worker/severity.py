"""How bad it is: P1 service down, data loss or security breach; P2 degraded; P3 medium."""

from collections.abc import Sequence

import msgspec

from analyzer_worker.knowledge import Hit, Outage, knowledge
from analyzer_worker.verdict import worst
from schemas.analysis import Category, Severity
from schemas.incident import Incident
from schemas.levels import Level


class Rating(msgspec.Struct, frozen=True):
    """A severity and the sentence that says why."""

    severity: Severity
    why: str


def rate(
    category: Category,
    winning: Sequence[Sequence[Hit]],
    outage: Outage | None,
    levels: Sequence[Level],
    incident: Incident,
    *,
    others: Sequence[tuple[Category, Sequence[Sequence[Hit]]]] = (),
) -> Rating:
    """The worst of what patterns, outage phrases, levels and the rule that opened the incident say.

    `others`: categories that did not win, of which there are enough events for an incident of their own: whatever
    else is logged beside them makes them no less severe.
    """
    ratings = [_by_patterns(category, winning)]
    ratings += [_beside(other, hits) for other, hits in others]
    if outage:
        ratings.append(Rating("P1", f"an event says that {outage.says}"))
    if by_level := _by_levels(levels):
        ratings.append(by_level)
    if incident.severity_floor:
        ratings.append(Rating(incident.severity_floor, f"rule {incident.rule} demands at least this"))
    severity = worst(*(rating.severity for rating in ratings))
    return next(rating for rating in ratings if rating.severity == severity)


def _by_patterns(category: Category, winning: Sequence[Sequence[Hit]]) -> Rating:
    stated = [hit.pattern for hits in winning for hit in hits if hit.pattern.severity]
    own = knowledge().categories[category].severity
    unstated = any(not hit.pattern.severity and hit.pattern.says for hits in winning for hit in hits)
    severity = worst(own if unstated or not stated else None, *(pattern.severity for pattern in stated))
    for pattern in stated:
        if pattern.severity == severity:
            return Rating(severity, pattern.says or "the pattern says so")
    return Rating(severity, f"that is usual for {category}")


def _beside(category: Category, hits: Sequence[Sequence[Hit]]) -> Rating:
    rating = _by_patterns(category, hits)
    return Rating(rating.severity, f"{len(hits)} events beside it speak for {category}: {rating.why}")


def _by_levels(levels: Sequence[Level]) -> Rating | None:
    """Half of the events FATAL: processes end, P1. Half CRITICAL or FATAL: at least P2."""
    fatal = sum(level == "FATAL" for level in levels)
    critical = fatal + sum(level == "CRITICAL" for level in levels)
    if fatal and fatal * 2 >= len(levels):
        return Rating("P1", f"{fatal} of {len(levels)} sampled events are FATAL")
    if critical and critical * 2 >= len(levels):
        return Rating("P2", f"{critical} of {len(levels)} sampled events are CRITICAL or FATAL")
    return None
