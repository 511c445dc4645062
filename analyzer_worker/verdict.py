"""What an analyzer is given and what it says, before it becomes a record."""

from collections.abc import Sequence
from typing import Final

import msgspec

from schemas.analysis import SEVERITIES, Analysis, AnalysisStatus, Category, Evidence, Severity
from schemas.incident import Incident
from schemas.levels import Level

MAX_TEXT: Final = 4_096
"""Characters of a message that an analyzer looks at; what follows is not read."""


class Sample(msgspec.Struct, frozen=True):
    """One event of an incident, as far as analyzers need it; `text` is the beginning of its message."""

    event_id: str
    level: Level
    text: str
    timestamp: int
    host: str | None = None
    trace_id: str | None = None
    attributes: dict[str, str | int | float | bool] | None = None


class Verdict(msgspec.Struct, frozen=True):
    """An analysis without its place in time: what is the matter, how bad it is, what to do, and why."""

    category: Category
    severity: Severity
    summary: str
    recommended_actions: list[str]
    confidence: float
    evidence: list[Evidence]
    analyzed_by: str
    reason: str
    cost_usd: float = 0.0


def worst(*severities: Severity | None) -> Severity:
    """The most severe of some severities; P3 where there is none."""
    return min((severity for severity in severities if severity), key=SEVERITIES.index, default="P3")


def to_analysis(
    verdict: Verdict,
    incident: Incident,
    status: AnalysisStatus,
    *,
    revision: int,
    latency_ms: int,
    request_id: str | None = None,
    templates: Sequence[str] = (),
    attempts: int = 0,
    shared_with: str | None = None,
    input_tokens: int = 0,
    output_tokens: int = 0,
) -> Analysis:
    """The record of `verdict` on `incident`; see `schemas.analysis.Analysis` for `revision`."""
    return Analysis(
        incident_key=incident.key,
        incident_version=incident.version,
        revision=revision,
        category=verdict.category,
        severity=verdict.severity,
        summary=verdict.summary,
        recommended_actions=verdict.recommended_actions,
        confidence=verdict.confidence,
        evidence=verdict.evidence,
        analyzed_by=verdict.analyzed_by,
        analysis_status=status,
        reason=verdict.reason,
        cost_usd=verdict.cost_usd,
        latency_ms=latency_ms,
        request_id=request_id,
        event_count=incident.event_count,
        templates=list(templates),
        attempts=attempts,
        shared_with=shared_with,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
    )
