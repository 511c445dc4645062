"""Incidents that people corrected, as cases for `analyze-eval`: redacted, one JSON object a line."""

import json
from collections.abc import Iterator
from typing import Any, Final

from analyzer_worker.redaction import redact
from ops_assist.http_api import HttpApi

_INCIDENTS: Final = "/api/v1/incidents"
_PAGE: Final = 200
_EVENTS: Final = 100


def corrected_cases(api: HttpApi) -> Iterator[str]:
    """A line for each corrected incident that still has events, newest first."""
    for incident in _corrected(api):
        events = api.get("/api/v1/events", incident_id=incident["id"], limit=_EVENTS).json()
        if events:
            yield json.dumps(case_of(api.get(f"{_INCIDENTS}/{incident['id']}").json(), events), ensure_ascii=False)


def case_of(incident: dict[str, Any], events: list[dict[str, Any]]) -> dict[str, Any]:
    """The case of an incident and its events, which come newest first; nothing secret is in it."""
    return {
        "id": f"correction-{incident['key']}",
        "service": redact(incident["service"]).text,
        "events": [{"level": event["level"], "message": redact(event["message"]).text} for event in reversed(events)],
        "category": incident["category"],
        "severity": incident["severity"],
        "source": redact(f"correction by {incident['correction']['actor']} of incident {incident['key']}").text,
    }


def _corrected(api: HttpApi) -> Iterator[dict[str, Any]]:
    skip = 0
    while page := api.get(_INCIDENTS, corrected="true", skip=skip, limit=_PAGE).json():
        yield from page
        skip += len(page)
