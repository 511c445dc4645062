"""The list of incidents: counters, filters, rates of the last hour, and changing several at once."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from fastapi import Request, Response

from query_api.dashboard.charts import Spark, last_minutes, spark
from query_api.dashboard.forms import BadFormError, BulkForm, read_bulk_form
from query_api.dashboard.incident_api import IncidentApi, Outcome
from query_api.dashboard.list_query import PAGE_SIZE, ListQuery
from query_api.dashboard.operations_api import OperationsApi
from query_api.dashboard.records import Counts, IncidentRow
from query_api.dashboard.security import ForgeryError, check_same_origin
from query_api.dashboard.service_api import ServiceApi
from query_api.dashboard.shell import Shell, keep_actor
from schemas.analysis import SEVERITIES
from schemas.lifecycle import STATUSES

SPARK_MINUTES: Final = 60


class IncidentsPage:
    """Shows the list and follows its form."""

    def __init__(self, shell: Shell, incidents: IncidentApi, services: ServiceApi, operations: OperationsApi) -> None:
        self._shell, self._incidents, self._services, self._operations = shell, incidents, services, operations

    async def show(self, request: Request) -> Response:
        """The list that the address asks for."""
        query = ListQuery.from_params(request.query_params)
        return await self._shell.guarded(query.url(page=query.page), lambda: self._list(request, query))

    async def change(self, request: Request) -> Response:
        """Change the incidents that were ticked, and show the list with how each went."""
        query = ListQuery.from_params(request.query_params)
        try:
            form = await read_bulk_form(request)
            check_same_origin(request, form.token)
        except (BadFormError, ForgeryError) as error:
            return self._shell.unusable(error)
        outcomes = await self._incidents.change_many(form.selected, form.change)
        again = query.url(page=query.page)
        answer = await self._shell.guarded(again, lambda: self._list(request, query, form, outcomes), form.change)
        keep_actor(answer, form.change.actor)
        return answer

    async def _list(
        self, request: Request, query: ListQuery, form: BulkForm | None = None, outcomes: list[Outcome] | None = None
    ) -> Response:
        page, counts, sight = await asyncio.gather(
            self._incidents.incidents(query), self._incidents.counts(query), self._operations.visibility()
        )
        failed = [outcome for outcome in outcomes or [] if outcome.problem]
        return self._shell.form_page(
            request,
            "incidents.html",
            query=query,
            sight=sight,
            incidents=page.incidents,
            sparks=await self._sparks(page.incidents),
            total=page.total,
            by_status=status_counts(counts, query.severity),
            by_severity=severity_counts(counts, query.status),
            first=(query.page - 1) * PAGE_SIZE + 1,
            pages=max(1, -(-page.total // PAGE_SIZE)),
            form=form,
            done=len(outcomes or []) - len(failed),
            failed=failed,
            note=form.change.note if failed and form else "",
        )

    async def _sparks(self, incidents: list[IncidentRow]) -> Mapping[str, Spark]:
        span = last_minutes(datetime.now(UTC), SPARK_MINUTES)
        found = await self._services.named({incident.service for incident in incidents}, span)
        return {service: spark(view.minutes, span) for service, view in found.items()}


def status_counts(counts: Counts, severity: str) -> dict[str, int]:
    """How many of each status there are, of one severity or of all."""
    found = {status: counts.by_status.get(status, {}) for status in STATUSES}
    return {
        status: by_severity.get(severity, 0) if severity else sum(by_severity.values())
        for status, by_severity in found.items()
    }


def severity_counts(counts: Counts, status: str) -> dict[str, int]:
    """How many of each severity there are, of one status or of all."""
    chosen = [counts.by_status.get(status, {})] if status else list(counts.by_status.values())
    return {severity: sum(by_severity.get(severity, 0) for by_severity in chosen) for severity in SEVERITIES}
