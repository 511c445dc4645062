"""The services: their rates by level, what is active on them, and what almost was an incident."""

import asyncio
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlencode

from fastapi import Request, Response

from query_api.dashboard.api_client import ApiAwayError, ApiRefusedError
from query_api.dashboard.charts import chart, last_minutes
from query_api.dashboard.incident_api import IncidentApi
from query_api.dashboard.list_query import page_number
from query_api.dashboard.operations_api import OperationsApi
from query_api.dashboard.presenting import service_url
from query_api.dashboard.records import Explanation
from query_api.dashboard.service_api import ServiceApi
from query_api.dashboard.shell import Shell

PAGE_SIZE: Final = 50
HOURS: Final = (1, 6, 24)
_NEWEST: Final = 10
_NO_SUCH: Final = "No event of it has been seen so far. Its name is written exactly as its events have it."


class ServicesPage:
    """Shows the list of services, and one of them."""

    def __init__(self, shell: Shell, services: ServiceApi, incidents: IncidentApi, operations: OperationsApi) -> None:
        self._shell, self._services, self._incidents, self._operations = shell, services, incidents, operations

    async def show(self, request: Request) -> Response:
        """Every service seen, those with active incidents first."""
        q, page = request.query_params.get("q", "").strip(), page_number(request.query_params.get("page", ""))
        return await self._shell.guarded(list_url(q, page), lambda: self._list(q, page))

    async def show_one(self, request: Request, service: str) -> Response:
        """One service over one of the HOURS."""
        hours = page_number(request.query_params.get("hours", ""))
        hours = hours if hours in HOURS else HOURS[0]
        return await self._shell.guarded(f"{service_url(service)}?hours={hours}", lambda: self._one(service, hours))

    async def _list(self, q: str, page: int) -> Response:
        span = last_minutes(datetime.now(UTC), 60)
        found, sight = await asyncio.gather(
            self._services.page(span, q=q, skip=(page - 1) * PAGE_SIZE, limit=PAGE_SIZE), self._operations.visibility()
        )
        return self._shell.page(
            "services.html",
            sight=sight,
            rows=[(service, chart(service.minutes, span)) for service in found.services],
            total=found.total,
            q=q,
            page=page,
            pages=max(1, -(-found.total // PAGE_SIZE)),
            first=(page - 1) * PAGE_SIZE + 1,
            list_url=list_url,
        )

    async def _one(self, service: str, hours: int) -> Response:
        span = last_minutes(datetime.now(UTC), 60 * hours)
        found, incidents, (explanation, unexplained) = await asyncio.gather(
            self._services.named({service}, span),
            self._incidents.newest_of(service, _NEWEST),
            self._explanation(service),
        )
        if service not in found and not incidents:
            return self._shell.message(404, "No such service", _NO_SUCH)
        view = found.get(service)
        return self._shell.page(
            "service.html",
            service=service,
            view=view,
            chart=chart(view.minutes if view else [], span),
            incidents=incidents,
            explanation=explanation,
            unexplained=unexplained,
            hours=hours,
            all_hours=HOURS,
        )

    async def _explanation(self, service: str) -> tuple[Explanation | None, str]:
        """What the rules make of it, or why that cannot be told: the rest of the page does not depend on it."""
        try:
            return await self._services.explanation(service), ""
        except (ApiAwayError, ApiRefusedError) as error:
            return None, str(error)


def list_url(q: str, page: int) -> str:
    """The address of a page of the list."""
    shown = {"q": q, "page": str(page) if page > 1 else ""}
    text = urlencode({name: value for name, value in shown.items() if value})
    return f"/services?{text}" if text else "/services"
