"""What else is known: other services in trouble at the same time, and how similar incidents ended.

Both come from the query API over HTTP, the analyzer's only way to the view. The API may be away: then they are missing.
"""

from datetime import datetime
from typing import Any, Final

import httpx
import msgspec

from runtime.settings import Settings
from schemas.incident import Incident
from schemas.timestamps import MICROSECONDS, to_micros, to_rfc3339

QUARTER: Final = 15 * 60 * MICROSECONDS
MAX_NEIGHBOURS: Final = 10
MAX_PAST: Final = 3
MAX_TEXTS: Final = 10
_SECONDS: Final = 2.0
_LISTED: Final = 100
_INCIDENTS: Final = "/api/v1/incidents"


class Neighbour(msgspec.Struct, frozen=True):
    """An incident of another service that opened within a quarter of an hour of this one."""

    key: str
    service: str
    category: str
    severity: str
    created_at: datetime
    event_count: int


class Resolution(msgspec.Struct, frozen=True):
    """How an incident ended: the note is what the person wrote who ended it."""

    actor: str
    note: str | None = None
    reason: str | None = None


class PastIncident(msgspec.Struct, frozen=True):
    """An incident that ended and was like this one; `similarity` is between 0 and 1."""

    service: str
    category: str
    summary: str
    similarity: float
    resolution: Resolution | None = None


class Surroundings(msgspec.Struct, frozen=True):
    """None where the query API could not tell."""

    neighbours: list[Neighbour] | None = None
    past: list[PastIncident] | None = None


class _Similar(msgspec.Struct):
    similar: list[PastIncident]


class ViewReader:
    """The query API as the analyzer asks it.

    Every method gives None where the API does not answer in time or not as expected: no analysis waits for it.
    """

    def __init__(self, settings: Settings, transport: httpx.AsyncBaseTransport | None = None) -> None:
        base = settings.api_url or f"http://127.0.0.1:{settings.http_port}"
        self._client = httpx.AsyncClient(base_url=base.rstrip("/"), timeout=_SECONDS, transport=transport)

    async def neighbours(self, incident: Incident) -> list[Neighbour] | None:
        """Other services' incidents that opened up to a quarter of an hour before or after it, nearest first."""
        span = {"since": incident.created_at - QUARTER, "until": incident.created_at + QUARTER}
        params = {name: to_rfc3339(moment) for name, moment in span.items()} | {"limit": str(_LISTED)}
        found: list[Neighbour] | None = await self._asked(list[Neighbour], "GET", _INCIDENTS, params=params)
        return None if found is None else nearest(found, incident)

    async def past(self, incident: Incident, texts: list[str]) -> list[PastIncident] | None:
        """Incidents that ended and whose messages were like `texts`, the most similar first."""
        body = {"service": incident.service, "texts": texts[:MAX_TEXTS], "exclude": incident.key, "limit": MAX_PAST}
        found: _Similar | None = await self._asked(_Similar, "POST", f"{_INCIDENTS}/similar", json=body)
        return None if found is None else found.similar[:MAX_PAST]

    async def _asked(self, shape: Any, method: str, path: str, **options: Any) -> Any:
        try:
            answer = await self._client.request(method, path, **options)
            return msgspec.json.decode(answer.content, type=shape) if answer.is_success else None
        except (httpx.HTTPError, msgspec.MsgspecError, UnicodeDecodeError):
            return None

    async def close(self) -> None:
        """Give the connections back."""
        await self._client.aclose()


def nearest(found: list[Neighbour], incident: Incident) -> list[Neighbour]:
    """One incident of each other service, the one that opened nearest in time, at most `MAX_NEIGHBOURS`."""
    by_service: dict[str, Neighbour] = {}
    for neighbour in sorted(found, key=lambda item: (abs(seconds_apart(item, incident)), item.key)):
        if neighbour.service != incident.service and neighbour.key != incident.key:
            by_service.setdefault(neighbour.service, neighbour)
    return list(by_service.values())[:MAX_NEIGHBOURS]


def seconds_apart(neighbour: Neighbour, incident: Incident) -> float:
    """How many seconds after `incident` the other one opened; negative: before."""
    return (to_micros(neighbour.created_at) - incident.created_at) / MICROSECONDS
