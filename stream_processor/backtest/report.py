"""The report of a backtest: one object, the same bytes for the same events and rules."""

from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final

import msgspec

from schemas.timestamps import to_rfc3339
from stream_processor.backtest.compare import Comparison
from stream_processor.backtest.file_log import Unreadable
from stream_processor.backtest.findings import Findings, Found
from stream_processor.backtest.live import Certificate
from stream_processor.backtest.scores import Scores
from stream_processor.backtest.sweep import Cell, Sweep, days_between
from stream_processor.near_misses import NearMiss
from stream_processor.rule_watch import fingerprint_of
from stream_processor.rules import RuleSet

_encode: Final = msgspec.json.Encoder(order="deterministic").encode
_DAY: Final = 10
"""Characters of an RFC 3339 time that name its day in UTC."""


class RuleSetReport(msgspec.Struct, frozen=True):
    """A set of rules and what it has led to; `name` says where it comes from."""

    name: str
    rules: RuleSet
    findings: Findings
    scores: Scores | None = None


class Source(msgspec.Struct, frozen=True):
    """What was read. `ranges`: of a topic, partition by partition, `start` included and `end` not."""

    names: list[str]
    events: int
    first: int | None
    last: int | None
    ranges: list[dict[str, int]] = []
    unreadable: Sequence[Unreadable] = ()


def report(
    source: Source, chosen: RuleSetReport, against: RuleSetReport | None, comparison: Comparison | None, **more: Any
) -> dict[str, Any]:
    """The report as JSON-ready fields; `sha256` is that of the others in canonical form. `more`: further fields."""
    days = days_between(source.first, source.last)
    told = {
        "source": _source(source),
        **_side(chosen, days),
        "against": None if against is None else _side(against, days),
        "comparison": None if comparison is None else _comparison(comparison),
        **more,
    }
    return told | {"sha256": sha256(canonical(told)).hexdigest()}


def canonical(value: object) -> bytes:
    """JSON without spaces, with the names of each object in order: the same bytes for the same content."""
    return _encode(value)


def certificate_fields(found: Certificate) -> dict[str, Any]:
    """Whether the backtest gives what was published."""
    return {
        "matches": found.matches,
        "incidents": found.incidents,
        "older": found.older,
        "comparison": _comparison(found.comparison),
    }


def sweep_fields(found: Sweep) -> dict[str, Any]:
    """A grid and its outcome; `frontier` and `knee` are cells again."""

    def cell(one: Cell) -> dict[str, Any]:
        return {
            "values": {axis.name: axis.told(value) for axis, value in zip(found.axes, one.place, strict=True)},
            "incidents": one.incidents,
            "incidents_a_day": one.per_day,
            "near_misses": one.near_misses,
            "scores": None if one.scores is None else msgspec.structs.asdict(one.scores),
        }

    cells = [cell(one) for one in found.cells]
    return {
        "rule": found.rule,
        "axes": [{"name": axis.name, "values": list(map(axis.told, axis.values))} for axis in found.axes],
        "cells": cells,
        "frontier": [cells[number] for number in found.frontier],
        "knee": None if found.knee is None else cells[found.knee],
    }


def incident_fields(one: Found) -> dict[str, Any]:
    """An incident."""
    return {
        "key": one.key,
        "service": one.service,
        "rule": one.rule,
        "status": one.status,
        "event_count": one.event_count,
        "first_event_at": to_rfc3339(one.first_event_at),
        "last_event_at": to_rfc3339(one.last_event_at),
        "detected_at": to_rfc3339(one.detected_at),
        "seconds_to_detect": one.time_to_detect,
        "reason": one.reason,
        "previous_key": one.previous_key,
    }


def seconds_to_detect(incidents: Sequence[Found]) -> dict[str, float] | None:
    """The median, the 90th percentile (nearest rank) and the greatest; None where there is no incident."""
    times = sorted(one.time_to_detect for one in incidents)
    if not times:
        return None
    return {"median": _rank(times, 50), "p90": _rank(times, 90), "max": times[-1]}


def _rank(values: Sequence[float], percent: int) -> float:
    return values[max(0, -(-len(values) * percent // 100) - 1)]


def _side(side: RuleSetReport, days: float) -> dict[str, Any]:
    incidents, near = side.findings.incidents, side.findings.near_misses
    return {
        "rules": {
            "from": side.name,
            "fingerprint": fingerprint_of(side.rules),
            "names": [rule.name for rule in side.rules.rules],
        },
        "incidents": [incident_fields(one) for one in incidents],
        "incidents_a_day": round(len(incidents) / days, 4),
        "per_day": _counts(to_rfc3339(one.first_event_at)[:_DAY] for one in incidents),
        "per_service": _counts(one.service for one in incidents),
        "seconds_to_detect": seconds_to_detect(incidents),
        "near_misses": [_near_miss(miss) for miss in near],
        "ledger": side.findings.ledger,
        "scores": None if side.scores is None else msgspec.structs.asdict(side.scores),
    }


def _counts(names: Any) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


def _near_miss(miss: NearMiss) -> dict[str, Any]:
    return {
        "service": miss.service,
        "rule": miss.rule,
        "count": miss.count,
        "first_event_at": to_rfc3339(miss.first),
        "last_event_at": to_rfc3339(miss.last),
    }


def _source(source: Source) -> dict[str, Any]:
    first, last = (None if time is None else to_rfc3339(time) for time in (source.first, source.last))
    return {
        "names": source.names,
        "events": source.events,
        "first_event_at": first,
        "last_event_at": last,
        "ranges": source.ranges,
        "unreadable": [{"line": one.line, "why": one.why} for one in source.unreadable],
    }


def _comparison(found: Comparison) -> dict[str, Any]:
    return {
        "added": [incident_fields(one.incident) | {"why": one.reason} for one in found.added],
        "lost": [incident_fields(one.incident) | {"why": one.reason} for one in found.lost],
        "changed": [
            {
                "before": incident_fields(one.before),
                "after": incident_fields(one.after),
                "differences": one.differences,
            }
            for one in found.changed
        ],
        "same": found.same,
    }
