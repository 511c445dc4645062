"""The HTTP API as the dashboard needs it, in memory: CONTRACT 5's answers without a database or a broker."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

import httpx

from schemas.lifecycle import STATUSES, is_allowed, refusal
from schemas.timestamps import to_micros, to_rfc3339

Record = dict[str, Any]

SUMMARY = "Payments fail: the connection pool of the orders database is exhausted."


def moment(seconds_ago: float) -> str:
    """RFC 3339 of a time in the past."""
    return to_rfc3339(to_micros(datetime.now(UTC) - timedelta(seconds=seconds_ago)))


def incident_record(incident_id: int, **changes: Any) -> Record:
    """An incident as the API's detail gives it; `changes` override."""
    record: Record = {
        "id": incident_id,
        "key": f"{incident_id:024x}",
        "service": "order-service",
        "rule": "error-burst",
        "category": "database_issue",
        "severity": "P1",
        "summary": SUMMARY,
        "recommended_actions": ["Look at the pool's size and at long transactions.", "Restart the stuck workers."],
        "status": "open",
        "created_at": moment(100),
        "updated_at": moment(60),
        "first_event_at": moment(120),
        "last_event_at": moment(60),
        "event_count": 7,
        "analysis_status": "done",
        "reason": "5 events at ERROR or above of order-service within 5 minutes",
        "threshold": 5,
        "window": 300,
        "previous_incident_id": None,
        "merged_into": None,
        "status_pending": False,
        "analysis": analysis_record(),
        "timeline": [
            {
                "time": moment(100),
                "actor": "system",
                "what": "opened",
                "from": None,
                "to": "open",
                "reason": "5 qualifying events within 300 s",
            }
        ],
        "events": [event_record(number) for number in range(7)],
    }
    return record | changes


def analysis_record(**changes: Any) -> Record:
    """The analysis of an incident."""
    record: Record = {
        "category": "database_issue",
        "severity": "P1",
        "summary": SUMMARY,
        "recommended_actions": ["Look at the pool's size and at long transactions."],
        "confidence": 0.82,
        "evidence": [{"event_id": "e-0", "quote": "QueuePool limit of size 20 reached"}],
        "analyzed_by": "rules",
        "analysis_status": "done",
        "reason": "5 of 5 messages name the connection pool",
        "cost_usd": 0.0,
        "latency_ms": 3,
    }
    return record | changes


def event_record(number: int, message: str = "QueuePool limit of size 20 reached, connection timed out") -> Record:
    """An event of an incident; a greater number is older."""
    return {
        "id": f"e-{number}",
        "service": "order-service",
        "level": "ERROR",
        "message": message,
        "timestamp": moment(60 + number * 10),
        "incident_id": 1,
    }


@dataclass
class Call:
    """One request that the API got."""

    method: str
    path: str
    params: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass
class Reply:
    """One answer that it gave."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)


def problem(status: int, detail: str) -> Reply:
    """An error answer."""
    return Reply(status, {"title": "Refused", "status": status, "detail": detail})


@dataclass
class FakeApi:
    """Holds incidents and answers for them; tests change `incidents` as the pipeline would."""

    incidents: dict[int, Record] = field(default_factory=dict)
    is_away: bool = False
    calls: list[Call] = field(default_factory=list)

    def add(self, **changes: Any) -> Record:
        """Add an incident under the next id."""
        incident_id = len(self.incidents) + 1
        record = incident_record(incident_id, **changes)
        self.incidents[incident_id] = record
        return record

    def answer(self, call: Call) -> Reply:
        """Answer one request."""
        self.calls.append(call)
        parts = call.path.strip("/").split("/")
        if call.path == "/health":
            return Reply(200, {"status": "healthy", "environment": "test"})
        if call.path == "/api/v1/incidents":
            return self._list(call)
        incident = self.incidents.get(int(parts[3])) if len(parts) > 3 and parts[3].isdecimal() else None
        if incident is None:
            return problem(404, f"There is no incident {parts[-1]}")
        if call.method == "PATCH":
            return self._change(incident, call)
        return Reply(200, incident, {"ETag": etag(incident)})

    def transport(self) -> httpx.MockTransport:
        """A transport for the dashboard's client."""

        def handle(request: httpx.Request) -> httpx.Response:
            if self.is_away:
                raise httpx.ConnectError("Connection refused", request=request)
            params = dict(request.url.params)
            reply = self.answer(
                Call(request.method, request.url.path, params, _decoded(request.headers), request.content)
            )
            return httpx.Response(reply.status, headers=reply.headers, json=reply.body)

        return httpx.MockTransport(handle)

    def _list(self, call: Call) -> Reply:
        wanted = call.params.get("status_filter")
        if wanted and wanted not in STATUSES:
            return problem(422, f"status_filter: must be one of {', '.join(STATUSES)}")
        found = [item for item in reversed(self.incidents.values()) if _fits(item, call.params)]
        skip, limit = int(call.params.get("skip", 0)), int(call.params.get("limit", 100))
        return Reply(200, found[skip : skip + limit], {"X-Total-Count": str(len(found))})

    def _change(self, incident: Record, call: Call) -> Reply:
        wanted, present = json.loads(call.body), incident["status"]
        if call.headers.get("if-match", etag(incident)) != etag(incident):
            return problem(412, "The incident was changed since you read it")
        if not is_allowed(present, wanted["status"]):
            return problem(409, refusal(present, wanted["status"]))
        set_status(incident, wanted["status"], call.headers["x-actor"], wanted.get("note"))
        return Reply(200, {"message": "Incident status updated successfully", "new_status": wanted["status"]})


def set_status(incident: Record, status: str, actor: str, note: str | None = None) -> None:
    """Change the status as the pipeline would."""
    entry = {"time": moment(0), "actor": actor, "what": "status_changed", "from": incident["status"], "to": status}
    incident["timeline"] = [*incident["timeline"], entry | ({"note": note} if note else {})]
    incident["status"] = status


def etag(incident: Record) -> str:
    """As the API's: another one after each change, but not after each event."""
    return f'"{len(incident["timeline"])}"'


def _fits(incident: Record, params: Mapping[str, str]) -> bool:
    exact = {"status_filter": "status", "severity": "severity", "service": "service"}
    if any(params[name] != incident[member] for name, member in exact.items() if name in params):
        return False
    return params.get("q", "").lower() in f"{incident['service']} {incident['summary']}".lower()


def _decoded(headers: httpx.Headers) -> dict[str, str]:
    return {name.decode().lower(): unquote(value.decode()) for name, value in headers.raw}
