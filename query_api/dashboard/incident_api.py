"""Incidents as the API has them: read, counted and changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import httpx

from query_api.dashboard.api_client import ApiAwayError, ApiClient, ApiRefusedError, decode, total_of
from query_api.dashboard.list_query import ListQuery
from query_api.dashboard.records import (
    BulkAnswer,
    Counts,
    EventView,
    IncidentDetail,
    IncidentRow,
    Similar,
    SimilarIncident,
)
from schemas.lifecycle import Status

INCIDENTS: Final = "/api/v1/incidents"
EVENTS: Final = "/api/v1/events"
EVENTS_PAGE: Final = 100
"""How many events the API gives with an incident; further pages are as long."""


@dataclass(frozen=True)
class IncidentPage:
    """One page of incidents, and how many there are on all pages together."""

    incidents: list[IncidentRow]
    total: int


@dataclass(frozen=True)
class TaggedIncident:
    """An incident and the ETag that it had, to change no other version than the one that was seen."""

    incident: IncidentDetail
    etag: str


@dataclass(frozen=True)
class StatusRequest:
    """A status change as a person asked for it."""

    to: Status
    actor: str
    note: str
    verdict: str = ""

    @property
    def body(self) -> dict[str, Any]:
        """The request's body; what was not filled in is left out."""
        told = {"note": self.note, "verdict": self.verdict}
        return {"status": self.to} | {name: value for name, value in told.items() if value}


@dataclass(frozen=True)
class CorrectionRequest:
    """A correction as a person asked for it; empty: as analysed."""

    category: str
    severity: str
    actor: str
    note: str


@dataclass(frozen=True)
class Selected:
    """An incident that a person chose from the list, and the status that they saw."""

    id: int
    seen: str


@dataclass(frozen=True)
class Outcome:
    """How the change of one of several incidents went; `problem` is empty where it was made."""

    id: int
    problem: str = ""


class IncidentApi:
    """Reads and changes incidents.

    Every method but `change_many` raises ApiAwayError where the API cannot serve, and ApiRefusedError where it refuses.
    """

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    async def incidents(self, query: ListQuery) -> IncidentPage:
        """The page of incidents that `query` asks for."""
        answer = await self._client.send("GET", INCIDENTS, params=query.api_params())
        rows = decode(answer, list[IncidentRow])
        return IncidentPage(rows, total_of(answer, default=len(rows)))

    async def newest_of(self, service: str, limit: int) -> list[IncidentRow]:
        """The newest incidents of a service."""
        return await self._client.get(INCIDENTS, list[IncidentRow], service=service, limit=limit)

    async def counts(self, query: ListQuery) -> Counts:
        """How many incidents there are under the query's filters, those of status and severity left out."""
        return await self._client.get(f"{INCIDENTS}/counts", Counts, **query.count_params())

    async def incident(self, incident_id: int) -> TaggedIncident:
        """One incident with all that belongs to it."""
        answer = await self._client.send("GET", f"{INCIDENTS}/{incident_id}")
        return TaggedIncident(decode(answer, IncidentDetail), answer.headers.get("etag", ""))

    async def events(self, incident_id: int, page: int) -> list[EventView]:
        """A page of the events of an incident, newest first; `page` counts from 1."""
        skip = (page - 1) * EVENTS_PAGE
        return await self._client.get(EVENTS, list[EventView], incident_id=incident_id, skip=skip, limit=EVENTS_PAGE)

    async def similar(self, incident_id: int) -> list[SimilarIncident]:
        """Past incidents that were like it; none where this API does not tell."""
        found = await self._client.get_if_there(f"{INCIDENTS}/{incident_id}/similar", Similar)
        return found.similar if found else []

    async def change_status(self, incident_id: int, change: StatusRequest, etag: str) -> None:
        """Change the status of the version that `etag` names."""
        await self._patch(f"{incident_id}/status", change.body, change.actor, etag)

    async def correct(self, incident_id: int, correction: CorrectionRequest, etag: str) -> None:
        """Correct the analysis of the version that `etag` names."""
        body = {"category": correction.category or None, "severity": correction.severity or None}
        noted = {"note": correction.note} if correction.note else {}
        await self._patch(f"{incident_id}/analysis", body | noted, correction.actor, etag)

    async def _patch(self, path: str, body: Mapping[str, Any], actor: str, etag: str) -> httpx.Response:
        headers = {"X-Actor": actor} | ({"If-Match": etag} if etag else {})
        # httpx takes text in headers for ASCII, and people's names are not.
        encoded = {name: value.encode() for name, value in headers.items()}
        return await self._client.send("PATCH", f"{INCIDENTS}/{path}", json=body, headers=encoded)

    async def change_many(self, selected: Sequence[Selected], change: StatusRequest) -> list[Outcome]:
        """Change several incidents, each for itself; one that was changed since it was seen is left as it is."""
        body = change.body | {
            "ids": [item.id for item in selected],
            "seen": {str(item.id): item.seen for item in selected},
        }
        try:
            answer = decode(await self._patch("status", body, change.actor, ""), BulkAnswer)
        except ApiRefusedError as error:
            return [Outcome(item.id, error.detail) for item in selected]
        except ApiAwayError as error:
            return [Outcome(item.id, f"unconfirmed: {error}") for item in selected]
        return [Outcome(one.incident_id, one.detail) for one in answer.results]
