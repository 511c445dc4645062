"""One incident: why it fired, its rate, its analysis, its events, its life, and the form that changes its status."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Final

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from query_api.dashboard.api_client import ApiAwayError, ApiRefusedError
from query_api.dashboard.charts import Chart, chart
from query_api.dashboard.forms import ANONYMOUS, BadFormError, StatusForm, read_correction_form, read_status_form
from query_api.dashboard.incident_api import EVENTS_PAGE, IncidentApi, TaggedIncident
from query_api.dashboard.list_query import page_number
from query_api.dashboard.records import EventView, IncidentDetail
from query_api.dashboard.security import ForgeryError, check_same_origin
from query_api.dashboard.service_api import ServiceApi, Span
from query_api.dashboard.shell import Shell, actor_of, keep_actor
from schemas.analysis import CATEGORIES, SEVERITIES
from schemas.lifecycle import STATUSES, is_allowed

_NOT_FOUND: Final = 404
_PRECONDITION_FAILED: Final = 412
_BEFORE: Final = timedelta(minutes=30)
_AFTER: Final = timedelta(minutes=10)
_LONGEST: Final = timedelta(hours=24)
_MINUTE: Final = timedelta(minutes=1)


class IncidentPage:
    """Shows an incident and follows its form."""

    def __init__(self, shell: Shell, incidents: IncidentApi, services: ServiceApi) -> None:
        self._shell, self._incidents, self._services = shell, incidents, services

    async def show(self, request: Request, incident_id: int) -> Response:
        """The incident with all that is known about it."""
        done = request.query_params.get("changed", "")
        return await self._page(request, incident_id, done=done if done in STATUSES else "")

    async def change(self, request: Request, incident_id: int) -> Response:
        """Change the status as the page's form asks, and show the incident again."""
        try:
            form = await read_status_form(request)
            check_same_origin(request, form.token)
        except (BadFormError, ForgeryError) as error:
            return self._shell.unusable(error)
        try:
            await self._incidents.change_status(incident_id, form.change, form.seen_etag)
        except ApiRefusedError as error:
            return await self._page(request, incident_id, error.status, form=form, refusal=error.detail)
        except ApiAwayError as error:
            return self._shell.away(f"/incidents/{incident_id}", str(error), unconfirmed=form.change)
        # Elsewhere, so that loading the page again sends nothing again.
        answer = RedirectResponse(f"/incidents/{incident_id}?changed={form.change.to}", 303)
        keep_actor(answer, form.change.actor)
        return answer

    async def correct(self, request: Request, incident_id: int) -> Response:
        """Correct the analysis as the page's form asks, and show the incident again."""
        try:
            form = await read_correction_form(request)
            check_same_origin(request, form.token)
        except (BadFormError, ForgeryError) as error:
            return self._shell.unusable(error)
        try:
            await self._incidents.correct(incident_id, form.correction, form.seen_etag)
        except ApiRefusedError as error:
            return await self._page(request, incident_id, error.status, refused_correction=error.detail)
        except ApiAwayError as error:
            return self._shell.away(f"/incidents/{incident_id}", str(error))
        answer = RedirectResponse(f"/incidents/{incident_id}?corrected=1", 303)
        keep_actor(answer, form.correction.actor)
        return answer

    async def _page(
        self,
        request: Request,
        incident_id: int,
        status: int = 200,
        *,
        form: StatusForm | None = None,
        done: str = "",
        refusal: str = "",
        refused_correction: str = "",
    ) -> Response:
        events_page = page_number(request.query_params.get("events", ""))
        try:
            tagged = await self._incidents.incident(incident_id)
            events, similar, rates = await asyncio.gather(
                self._events(tagged.incident, events_page),
                self._incidents.similar(incident_id),
                self._chart(tagged.incident),
            )
        except ApiAwayError as error:
            return self._shell.away(f"/incidents/{incident_id}", str(error))
        except ApiRefusedError as error:
            title = "No such incident" if error.status == _NOT_FOUND else "The API refused to show this incident"
            return self._shell.message(error.status, title, error.detail)
        return self._shell.form_page(
            request,
            "incident.html",
            status,
            incident=tagged.incident,
            etag=tagged.etag,
            chart=rates,
            similar=similar,
            events=events,
            events_page=events_page,
            events_first=(events_page - 1) * EVENTS_PAGE + 1,
            events_pages=max(1, -(-tagged.incident.event_count // EVENTS_PAGE)),
            steps=_steps(tagged),
            actor=_actor(request, form),
            note=form.change.note if form else "",
            done=done,
            refusal=refusal,
            refused_correction=refused_correction,
            corrected=bool(request.query_params.get("corrected")) and not refused_correction,
            categories=CATEGORIES,
            severities=SEVERITIES,
            seen=form.seen_status if status == _PRECONDITION_FAILED and form else "",
        )

    async def _events(self, incident: IncidentDetail, page: int) -> list[EventView]:
        return incident.events if page == 1 else await self._incidents.events(incident.id, page)

    async def _chart(self, incident: IncidentDetail) -> Chart:
        span = span_of(incident, datetime.now(UTC))
        service = (await self._services.named({incident.service}, span)).get(incident.service)
        # Counts are kept for days; the incident's own record has its first minutes for ever.
        minutes = service.minutes if service and service.minutes else incident.minutes
        return chart(minutes, span, window_of(incident))


def span_of(incident: IncidentDetail, now: datetime) -> Span:
    """The time around the incident, the rule's whole window included: at most a day from before its beginning."""
    since = (incident.first_event_at - _BEFORE).replace(second=0, microsecond=0)
    so_far = min(incident.last_event_at + _AFTER, max(now, incident.last_event_at))
    until = max(so_far, window_of(incident).until).replace(second=0, microsecond=0) + _MINUTE
    return Span(since, min(until, since + _LONGEST))


def window_of(incident: IncidentDetail) -> Span:
    """The rule's window, from the incident's first event."""
    return Span(incident.first_event_at, incident.first_event_at + timedelta(seconds=incident.window or 0))


def _steps(tagged: TaggedIncident) -> list[str]:
    present = tagged.incident.status
    return [wanted for wanted in STATUSES if wanted != present and is_allowed(present, wanted)]


def _actor(request: Request, form: StatusForm | None) -> str:
    """The name to put in the form: the one just sent, else the one that this browser sent last."""
    name = form.change.actor if form else actor_of(request)
    return "" if name == ANONYMOUS else name
