"""The HTTP API as the dashboard needs it, in memory: CONTRACT 5's answers without a database or a broker."""

import json
from collections.abc import Callable, Mapping, Sequence
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


def minute_records(counts: Mapping[int, Mapping[str, int]]) -> list[Record]:
    """Events by level of minutes, each given by how many minutes ago it was."""
    this = datetime.now(UTC).replace(second=0, microsecond=0)
    return [
        {"minute": to_rfc3339(to_micros(this - timedelta(minutes=ago))), "by_level": dict(by_level)}
        for ago, by_level in sorted(counts.items(), reverse=True)
    ]


def service_record(service: str, **changes: Any) -> Record:
    """A service as the API gives it."""
    record: Record = {
        "service": service,
        "first_event_at": moment(90_000),
        "last_event_at": moment(20),
        "active_incidents": [],
        "by_level": {"ERROR": 7, "INFO": 240},
        "minutes": minute_records({3: {"ERROR": 5, "INFO": 120}, 2: {"ERROR": 2, "INFO": 120}}),
    }
    return record | changes


def visibility_record(**changes: Any) -> Record:
    """Whether the pipeline sees, as the API gives it: it does."""
    record: Record = {
        "blind": False,
        "reason": None,
        "incidents": {"incidents": 4, "p50": 0.31, "p95": 0.42, "p99": 0.43},
        "canary": {"incidents": 360, "p50": 0.28, "p95": 0.39, "p99": 0.51},
    }
    return record | changes


def pipeline_record(**changes: Any) -> Record:
    """The pipeline as the API gives it: all is well."""
    names = ("api", "stream_processor", "materializer", "analyzer_worker")
    record: Record = {
        "at": moment(1),
        "services": [
            {"service": name, "url": f"http://127.0.0.1:{8000 + number}", "ready": True, "reasons": {}}
            for number, name in enumerate(names)
        ],
        "groups": [{"group": "ops-materializer", "state": "Stable", "members": 1}],
        "consumers": [
            {
                "group": group,
                "topic": topic,
                "partition": partition,
                "current": 1_204,
                "end": 1_204 + lag,
                "lag": lag,
                "seconds": lag * 1.5,
                "rate_in": 4.0,
                "rate_out": 3.5,
                "seconds_to_catch_up": None if lag else 0.0,
            }
            for group, topic, partition, lag in (
                ("ops-materializer", "ops.events", 0, 0),
                ("ops-materializer", "ops.events", 1, 12),
                ("ops-processor", "ops.events", 0, 0),
            )
        ],
        "consumers_unavailable": None,
        "ledger": {"below_level": 24_010, "attached": 519, "opened": 6},
        "dead_letters": {},
        "visibility": visibility_record(),
    }
    return record | changes


def lag_history_records() -> list[Record]:
    """The lag of the materializer, which was twelve records behind a minute ago."""
    points = [{"at": moment(minute), "lag": lag, "seconds": lag / 2} for minute, lag in ((2, 0), (1, 12), (0, 3))]
    return [{"group": "ops-materializer", "topic": "ops.events", "points": points}]


@dataclass
class Call:
    """One request that the API got."""

    method: str
    path: str
    params: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""
    services: Sequence[str] = ()
    """All values of the parameter `service`, which may be given several times."""


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
    services: dict[str, Record] = field(default_factory=dict)
    explanations: dict[str, Record | Reply] = field(default_factory=dict)
    similar: dict[int, list[Record]] = field(default_factory=dict)
    pipeline: Record = field(default_factory=pipeline_record)
    lag_history: list[Record] = field(default_factory=lag_history_records)
    sent: list[Record] = field(default_factory=list)
    refusal: Reply | None = None
    """What the gateway answers instead of taking events."""
    is_away: bool = False
    calls: list[Call] = field(default_factory=list)

    def add(self, **changes: Any) -> Record:
        """Add an incident under the next id."""
        incident_id = len(self.incidents) + 1
        record = incident_record(incident_id, **changes)
        self.incidents[incident_id] = record
        return record

    def add_service(self, service: str, **changes: Any) -> Record:
        """Add a service with errors in the last minutes."""
        record = service_record(service, **changes)
        self.services[service] = record
        return record

    def answer(self, call: Call) -> Reply:
        """Answer one request."""
        self.calls.append(call)
        routes: dict[str, Callable[[], Reply]] = {
            "/health": lambda: Reply(200, {"status": "healthy", "environment": "test"}),
            "/api/v1/incidents": lambda: self._list(call),
            "/api/v1/incidents/counts": lambda: self._counts(call),
            "/api/v1/incidents/status": lambda: self._change_many(call),
            "/api/v1/events": lambda: self._events(call),
            "/api/v1/events/batch": lambda: self._take(call),
            "/api/v1/services": lambda: self._services(call),
            "/api/v1/pipeline": lambda: Reply(200, self.pipeline),
            "/api/v1/pipeline/visibility": self._visibility,
            "/api/v1/pipeline/history": lambda: Reply(200, self.lag_history),
        }
        if call.path in routes:
            return routes[call.path]()
        if call.path.startswith("/api/v1/services/"):
            name = unquote(call.path.removeprefix("/api/v1/services/").removesuffix("/explain"))
            found = self.explanations.get(name)
            return found if isinstance(found, Reply) else _explained(name, found)
        return self._one(call)

    def _visibility(self) -> Reply:
        found = self.pipeline.get("visibility")
        return Reply(200, found) if found else problem(404, "There is no such route")

    def _one(self, call: Call) -> Reply:
        parts = call.path.strip("/").split("/")
        incident = self.incidents.get(int(parts[3])) if len(parts) > 3 and parts[3].isdecimal() else None
        if incident is None:
            return problem(404, f"There is no incident {parts[-1]}")
        if parts[-1] == "similar":
            found = self.similar.get(incident["id"])
            return (
                problem(404, "There is no such route")
                if found is None
                else Reply(200, {"method": "vector", "similar": found})
            )
        if call.method == "PATCH":
            return self._correct(incident, call) if parts[-1] == "analysis" else self._change(incident, call)
        return Reply(200, incident | {"events": incident["events"][:100]}, {"ETag": etag(incident)})

    def transport(self) -> httpx.MockTransport:
        """A transport for the dashboard's client."""

        def handle(request: httpx.Request) -> httpx.Response:
            if self.is_away:
                raise httpx.ConnectError("Connection refused", request=request)
            params = dict(request.url.params)
            names = request.url.params.get_list("service")
            headers = _decoded(request.headers)
            reply = self.answer(Call(request.method, request.url.path, params, headers, request.content, names))
            return httpx.Response(reply.status, headers=reply.headers, json=reply.body)

        return httpx.MockTransport(handle)

    def _list(self, call: Call) -> Reply:
        wanted = call.params.get("status_filter")
        if wanted and wanted not in STATUSES:
            return problem(422, f"status_filter: must be one of {', '.join(STATUSES)}")
        found = [item for item in reversed(self.incidents.values()) if _fits(item, call.params)]
        skip, limit = int(call.params.get("skip", 0)), int(call.params.get("limit", 100))
        return Reply(200, found[skip : skip + limit], {"X-Total-Count": str(len(found))})

    def _counts(self, call: Call) -> Reply:
        by_status = {status: {"P1": 0, "P2": 0, "P3": 0} for status in STATUSES}
        found = [item for item in self.incidents.values() if _fits(item, call.params)]
        for item in found:
            severity = item["severity"] or "P3"
            by_status[item["status"]][severity] = by_status[item["status"]].get(severity, 0) + 1
        return Reply(200, {"total": len(found), "by_status": by_status})

    def _events(self, call: Call) -> Reply:
        incident = self.incidents.get(int(call.params["incident_id"]))
        skip, limit = int(call.params["skip"]), int(call.params["limit"])
        return Reply(200, incident["events"][skip : skip + limit] if incident else [])

    def _services(self, call: Call) -> Reply:
        since, until = call.params["since"], call.params["until"]
        found = [
            item
            for name, item in self.services.items()
            if (not call.services or name in call.services) and call.params.get("q", "").lower() in name.lower()
        ]
        skip, limit = int(call.params.get("skip", 0)), int(call.params.get("limit", 100))
        shown = [
            item | {"minutes": [minute for minute in item["minutes"] if since <= minute["minute"] < until]}
            for item in found[skip : skip + limit]
        ]
        return Reply(200, shown, {"X-Total-Count": str(len(found))})

    def _take(self, call: Call) -> Reply:
        if self.refusal:
            return self.refusal
        events = json.loads(call.body)
        self.sent += events
        return Reply(201, {"accepted": len(events), "rejected": []})

    def _correct(self, incident: Record, call: Call) -> Reply:
        wanted = json.loads(call.body)
        if call.headers.get("if-match", etag(incident)) != etag(incident):
            return problem(412, "The incident has changed since you read it; read it again")
        actor = call.headers["x-actor"]
        incident["correction"] = wanted | {"actor": actor, "at": moment(0)}
        incident |= {name: wanted[name] for name in ("category", "severity") if wanted[name]}
        entry = {"time": moment(0), "actor": actor, "what": "corrected", "reason": _said(wanted)}
        incident["timeline"] = [*incident["timeline"], entry]
        return Reply(200, {"message": "Analysis corrected successfully"})

    def _change(self, incident: Record, call: Call) -> Reply:
        wanted, present = json.loads(call.body), incident["status"]
        if call.headers.get("if-match", etag(incident)) != etag(incident):
            return problem(412, "The incident was changed since you read it")
        if not is_allowed(present, wanted["status"]):
            return problem(409, refusal(present, wanted["status"]))
        set_status(incident, wanted["status"], call.headers["x-actor"], wanted.get("note"))
        return Reply(200, {"message": "Incident status updated successfully", "new_status": wanted["status"]})

    def _change_many(self, call: Call) -> Reply:
        wanted = json.loads(call.body)
        results = [self._changed(number, call, wanted["seen"].get(str(number))) for number in wanted["ids"]]
        return Reply(207 if any("detail" in result for result in results) else 200, {"results": results})

    def _changed(self, number: int, call: Call, seen: str | None) -> Record:
        incident = self.incidents.get(number)
        if incident is None:
            reply = problem(404, f"There is no incident {number}")
        elif seen not in (None, incident["status"]):
            reply = problem(412, f"The incident is {incident['status']} by now; it was {seen} when you chose it")
        else:
            reply = self._change(incident, call)
        return {"incident_id": number, "status": reply.status} | (
            {"detail": reply.body["detail"]} if "detail" in reply.body else {}
        )


def _said(wanted: Mapping[str, str | None]) -> str:
    said = [f"{name} is {wanted[name]}" for name in ("category", "severity") if wanted.get(name)]
    return " and ".join(said) or "as it was analysed"


def set_status(incident: Record, status: str, actor: str, note: str | None = None) -> None:
    """Change the status as the pipeline would."""
    entry = {"time": moment(0), "actor": actor, "what": "status_changed", "from": incident["status"], "to": status}
    incident["timeline"] = [*incident["timeline"], entry | ({"note": note} if note else {})]
    incident["status"] = status


def etag(incident: Record) -> str:
    """As the API's: another one after each change, but not after each event."""
    return f'"{len(incident["timeline"])}"'


def _explained(service: str, explanation: Record | None) -> Reply:
    return Reply(200, {"service": service} | explanation) if explanation else problem(404, "There is no such route")


def _fits(incident: Record, params: Mapping[str, str]) -> bool:
    exact = {"status_filter": "status", "severity": "severity", "service": "service"}
    if any(params[name] != incident[member] for name, member in exact.items() if name in params):
        return False
    return params.get("q", "").lower() in f"{incident['service']} {incident['summary']}".lower()


def _decoded(headers: httpx.Headers) -> dict[str, str]:
    return {name.decode().lower(): unquote(value.decode()) for name, value in headers.raw}
