"""Rows to what clients see: the JSON of CONTRACT 2 and 5, as plain dictionaries."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from query_api.models import AnalysisRow, CorrectionRow, EventRow, IncidentRow
from schemas.timestamps import MICROSECONDS, to_micros, to_rfc3339


def moment(value: datetime) -> str:
    """RFC 3339 in UTC with microseconds."""
    return to_rfc3339(to_micros(value))


def incident_summary(row: IncidentRow) -> dict[str, Any]:
    """An incident as lists show it."""
    return {
        "id": row.id,
        "key": row.key,
        "service": row.service,
        "rule": row.rule,
        "category": row.category,
        "severity": row.severity,
        "summary": row.summary,
        "recommended_actions": row.recommended_actions,
        "status": row.status,
        "created_at": moment(row.created_at),
        "updated_at": moment(row.updated_at),
        "first_event_at": moment(row.first_event_at),
        "last_event_at": moment(row.last_event_at),
        "event_count": row.event_count,
        "analysis_status": row.analysis_status,
    }


def incident_detail(
    row: IncidentRow,
    *,
    analysis: AnalysisRow | None,
    corrections: Sequence[CorrectionRow],
    events: Sequence[tuple[EventRow, int | None]],
    related: Mapping[str, int],
) -> dict[str, Any]:
    """An incident with all that is known of it.

    Args:
        row: the incident.
        analysis: its newest analysis, if there is one yet.
        corrections: what people said it is, oldest first.
        events: its newest events.
        related: the integer ids of the incidents whose keys it names.
    """
    return incident_summary(row) | {
        "events": [event_view(event, incident_id) for event, incident_id in events],
        "timeline": timeline_view(row.timeline, corrections),
        "analysis": analysis_view(analysis) if analysis else None,
        "correction": correction_view(corrections[-1]) if corrections else None,
        "previous_incident_id": related.get(row.previous_key or ""),
        "merged_into": related.get(row.merged_into or ""),
        "shadow": row.shadow,
        "verdict": verdict_of(row.timeline),
        "status_pending": row.pending_status is not None,
        "reason": row.reason,
        "threshold": row.threshold,
        "window": row.window_micros / MICROSECONDS,
        "lateness": row.lateness_micros / MICROSECONDS,
        "minutes": [minute_view(minute, by_level) for minute, by_level in row.minutes],
    }


def event_view(row: EventRow, incident_id: int | None) -> dict[str, Any]:
    """An event, with the incident that took it in."""
    return {
        "id": row.id,
        "service": row.service,
        "level": row.level,
        "message": row.message,
        "timestamp": moment(row.event_time),
        "incident_id": incident_id,
    }


def placed_event_view(row: EventRow, incident_id: int | None) -> dict[str, Any]:
    """An event of a service that is known, with its attributes and its place in the log."""
    return {
        "id": row.id,
        "level": row.level,
        "message": row.message,
        "timestamp": moment(row.event_time),
        "attributes": row.attributes,
        "partition": row.partition,
        "offset": row.record_offset,
        "index": row.idx,
        "received_at": moment(row.received_at),
        "incident_id": incident_id,
    }


def change_view(change: Mapping[str, Any]) -> dict[str, Any]:
    """An entry of a timeline; the record's fields that are at their defaults are not in it."""
    return {
        "time": to_rfc3339(change["at"]),
        "actor": change["actor"],
        "what": change["what"],
        "from": change.get("from_status"),
        "to": change.get("to_status"),
        "note": change.get("note"),
        "reason": change["reason"],
        **{name: change[name] for name in ("after", "verdict") if name in change},
    }


def verdict_of(timeline: Sequence[Mapping[str, Any]]) -> str | None:
    """What people judged an incident to be, by the newest entry that tells."""
    return next((entry["verdict"] for entry in reversed(timeline) if entry.get("verdict")), None)


def timeline_view(changes: Sequence[Mapping[str, Any]], corrections: Sequence[CorrectionRow]) -> list[dict[str, Any]]:
    """The record's changes and people's corrections, by time."""
    entries = [change_view(change) for change in changes] + [correction_entry(one) for one in corrections]
    return sorted(entries, key=lambda entry: str(entry["time"]))


def correction_entry(row: CorrectionRow) -> dict[str, Any]:
    """A correction as an entry of a timeline."""
    said = [f"{name} is {value}" for name, value in (("category", row.category), ("severity", row.severity)) if value]
    return {
        "time": moment(row.at),
        "actor": row.actor,
        "what": "corrected",
        "from": None,
        "to": None,
        "note": row.note,
        "reason": " and ".join(said) or "as it was analysed",
    }


def correction_view(row: CorrectionRow) -> dict[str, Any] | None:
    """The correction in force; None where the last one took it back."""
    if row.category is None and row.severity is None:
        return None
    return {
        "category": row.category,
        "severity": row.severity,
        "note": row.note,
        "actor": row.actor,
        "at": moment(row.at),
    }


def analysis_view(row: AnalysisRow) -> dict[str, Any]:
    """An analysis (CONTRACT 6)."""
    return {
        "category": row.category,
        "severity": row.severity,
        "summary": row.summary,
        "recommended_actions": row.recommended_actions,
        "confidence": row.confidence,
        "evidence": row.evidence,
        "analyzed_by": row.analyzed_by,
        "cost_usd": row.cost_usd,
        "latency_ms": row.latency_ms,
        "shared_with": row.shared_with,
        "input_tokens": row.input_tokens,
        "output_tokens": row.output_tokens,
        "attempts": row.attempts,
        "analysis_status": row.analysis_status,
        "reason": row.reason,
    }


def minute_view(minute: int, by_level: Mapping[str, int]) -> dict[str, Any]:
    """The service's events of one minute, for a rate."""
    return {"minute": to_rfc3339(minute * 60 * MICROSECONDS), "by_level": by_level}
