"""The HTTP API as the dashboard calls it; the one place where its answers and its silence are told apart."""

import asyncio
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import httpx
import msgspec

from query_api.dashboard.list_query import ListQuery
from query_api.dashboard.records import IncidentDetail, IncidentRow, Problem
from schemas.lifecycle import STATUSES, Status

INCIDENTS: Final = "/api/v1/incidents"
TIMEOUT: Final = httpx.Timeout(10.0, connect=2.0)
"""Seconds. A page is worth no longer wait; a connection on one network needs far less than two."""
STREAM_TIMEOUT: Final = httpx.Timeout(45.0, connect=2.0, pool=2.0)
"""Seconds without a byte, keep-alive comments included, after which a stream is given up and opened again."""
LIMITS: Final = httpx.Limits(max_connections=50, max_keepalive_connections=10)
STREAM_LIMITS: Final = httpx.Limits(max_connections=500, max_keepalive_connections=0)

Answer = TypeVar("Answer")


class ApiAwayError(Exception):
    """The API gave no answer, or said that it cannot serve now; the text says which."""


class ApiRefusedError(Exception):
    """The API answered that the request cannot be served as it is (4xx).

    Args:
        status: the HTTP status of the API's answer.
        detail: the API's own sentence.
    """

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail


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


class IncidentApi:
    """Reads and changes incidents.

    Every method raises ApiAwayError where the API cannot serve, and ApiRefusedError where it refuses.
    """

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def incidents(self, query: ListQuery) -> IncidentPage:
        """The page of incidents that `query` asks for."""
        answer = await self._send("GET", INCIDENTS, params=query.api_params())
        rows = _decode(answer, list[IncidentRow])
        return IncidentPage(rows, _total(answer, default=len(rows)))

    async def counts(self, query: ListQuery) -> dict[Status, int]:
        """How many incidents of each status there are under the query's other filters."""
        totals = await asyncio.gather(*(self._count(query, status) for status in STATUSES))
        return dict(zip(STATUSES, totals, strict=True))

    async def incident(self, incident_id: int) -> TaggedIncident:
        """One incident with all that belongs to it."""
        answer = await self._send("GET", f"{INCIDENTS}/{incident_id}")
        return TaggedIncident(_decode(answer, IncidentDetail), answer.headers.get("etag", ""))

    async def change_status(self, incident_id: int, change: StatusRequest, etag: str) -> None:
        """Change the status of the version that `etag` names."""
        body = {"status": change.to} | ({"note": change.note} if change.note else {})
        headers = {"X-Actor": change.actor} | ({"If-Match": etag} if etag else {})
        # httpx takes text in headers for ASCII, and people's names are not.
        encoded = {name: value.encode() for name, value in headers.items()}
        await self._send("PATCH", f"{INCIDENTS}/{incident_id}/status", json=body, headers=encoded)

    async def away(self) -> str | None:
        """None when the API answers, else a sentence that says why not."""
        try:
            await self._send("GET", "/health")
        except (ApiAwayError, ApiRefusedError) as error:
            return str(error)
        return None

    async def _count(self, query: ListQuery, status: Status) -> int:
        answer = await self._send("GET", INCIDENTS, params=query.api_params(status=status, limit=1))
        return _total(answer, default=len(_decode(answer, list[IncidentRow])))

    async def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            answer = await self._client.request(method, path, **options)
        except httpx.HTTPError as error:
            raise ApiAwayError(no_answer(error, self._client.base_url)) from error
        if answer.is_success:
            return answer
        detail = _detail(answer)
        if answer.is_client_error:
            raise ApiRefusedError(answer.status_code, detail)
        raise ApiAwayError(f"It answered {answer.status_code}: {detail}")


def no_answer(error: httpx.HTTPError, url: httpx.URL) -> str:
    """The sentence for an API that gave no answer."""
    if isinstance(error, httpx.TimeoutException):
        return f"{url} did not answer in time."
    return f"No connection to {url} ({str(error) or type(error).__name__})."


def _decode(answer: httpx.Response, shape: type[Answer]) -> Answer:
    try:
        return msgspec.json.decode(answer.content, type=shape)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ApiAwayError(f"It gave an answer that this dashboard cannot read: {error}") from error


def _total(answer: httpx.Response, *, default: int) -> int:
    text = answer.headers.get("x-total-count", "")
    return int(text) if text.isdecimal() else default


def _detail(answer: httpx.Response) -> str:
    try:
        problem = msgspec.json.decode(answer.content, type=Problem)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        problem = Problem()
    return problem.detail or problem.title or answer.reason_phrase or "no reason given"
