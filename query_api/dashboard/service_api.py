"""Services as the API has them: their rates, and what the rules make of them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from query_api.dashboard.api_client import ApiClient, decode, total_of
from query_api.dashboard.presenting import machine_time
from query_api.dashboard.records import Explanation, ServiceView

SERVICES: Final = "/api/v1/services"


@dataclass(frozen=True)
class Span:
    """Whole minutes, `since` included, `until` not."""

    since: datetime
    until: datetime

    def params(self) -> dict[str, str]:
        """As the API takes it."""
        return {"since": machine_time(self.since), "until": machine_time(self.until)}


@dataclass(frozen=True)
class ServicePage:
    """One page of services, and how many there are on all pages together."""

    services: list[ServiceView]
    total: int


class ServiceApi:
    """Reads services; every method raises as ApiClient does."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    async def page(self, span: Span, *, q: str, skip: int, limit: int) -> ServicePage:
        """A page of services whose names contain `q`, the worst off first."""
        params: dict[str, Any] = {**span.params(), "skip": skip, "limit": limit} | ({"q": q} if q else {})
        answer = await self._client.send("GET", SERVICES, params=params)
        services = decode(answer, list[ServiceView])
        return ServicePage(services, total_of(answer, default=len(services)))

    async def named(self, names: set[str], span: Span) -> dict[str, ServiceView]:
        """Some services by name; those that have sent nothing yet are not in it."""
        if not names:
            return {}
        params = {**span.params(), "service": sorted(names), "limit": len(names)}
        found = await self._client.get(SERVICES, list[ServiceView], **params)
        return {item.service: item for item in found}

    async def explanation(self, service: str) -> Explanation | None:
        """What the rules make of a service; None where this API does not tell."""
        return await self._client.get_if_there(f"{SERVICES}/{quote(service, safe='')}/explain", Explanation)
