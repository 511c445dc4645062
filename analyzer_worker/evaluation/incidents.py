"""A case as the pipeline would hand it to an analyzer."""

from collections import Counter
from typing import Final

from analyzer_worker.evaluation.cases import Case, CaseEvent
from analyzer_worker.verdict import MAX_TEXT, Sample
from schemas.incident import EventPosition, Incident, MinuteCount
from schemas.levels import LEVELS, Level
from schemas.timestamps import MICROSECONDS

MAX_SAMPLES: Final = 20
"""An incident's record names its first events, at most so many."""
THRESHOLD: Final = 5
WINDOW_SECONDS: Final = 300
COUNTED: Final[frozenset[Level]] = frozenset(("ERROR", "CRITICAL", "FATAL"))
_SPACING: Final = 2 * MICROSECONDS
_START: Final = 1_767_225_600 * MICROSECONDS
"""2026-01-01T00:00:00Z; analyses do not depend on it."""
_MINUTE: Final = 60 * MICROSECONDS


def to_incident(case: Case) -> tuple[Incident, list[Sample]]:
    """The incident that the rule `error-burst` makes of a case's events, two seconds apart, and its samples.

    WARNING, INFO and DEBUG are in the service's counts and not among the samples, as in the pipeline. Where fewer
    than five events are ERROR or worse, a rule of another kind must have opened the incident: then all events count.
    """
    times = [_START + number * _SPACING for number in range(len(case.events))]
    timed = list(zip(times, case.events, strict=True))
    counted = [item for item in timed if item[1].severity_level in COUNTED]
    counted = counted if len(counted) >= THRESHOLD else timed
    incident = Incident(
        key=f"case-{case.id}",
        version=1,
        service=case.service,
        rule="error-burst",
        status="open",
        event_count=len(counted),
        first_event_at=counted[0][0],
        last_event_at=counted[-1][0],
        created_at=times[-1],
        updated_at=times[-1],
        threshold=THRESHOLD,
        window=WINDOW_SECONDS * MICROSECONDS,
        reason="",
        partition=0,
        samples=[EventPosition(number, 0) for number in range(min(len(counted), MAX_SAMPLES))],
        timeline=[],
        minutes=_minutes(timed),
    )
    return incident, [_sample(number, *item) for number, item in enumerate(counted[:MAX_SAMPLES])]


def _sample(number: int, time: int, event: CaseEvent) -> Sample:
    return Sample(f"event-{number}", event.severity_level, event.message[:MAX_TEXT], time)


def _minutes(timed: list[tuple[int, CaseEvent]]) -> list[MinuteCount]:
    counts = Counter((time // _MINUTE, event.severity_level) for time, event in timed)
    minutes = sorted({minute for minute, _ in counts})
    return [
        MinuteCount(minute, {level: counts[minute, level] for level in LEVELS if counts[minute, level]})
        for minute in minutes
    ]
