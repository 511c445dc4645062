"""The pages: which data each one asks the API for, and what it answers when that does not go well."""

import asyncio
from typing import Final
from urllib.parse import quote, unquote

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from query_api.dashboard.api_client import ApiAwayError, ApiRefusedError, IncidentApi
from query_api.dashboard.forms import ANONYMOUS, MAX_ACTOR, MAX_NOTE, BadFormError, StatusForm, read_status_form
from query_api.dashboard.list_query import PAGE_SIZE, ListQuery
from query_api.dashboard.rendering import Renderer
from query_api.dashboard.security import ForgeryError, check_same_origin, keep_token, token_of
from schemas.analysis import SEVERITIES
from schemas.lifecycle import STATUSES, is_allowed

_ACTOR_COOKIE: Final = "ops_assist_actor"
_NOT_FOUND: Final = 404
_PRECONDITION_FAILED: Final = 412
_A_YEAR: Final = 365 * 24 * 3600  # seconds


class Pages:
    """One method a page."""

    def __init__(self, api: IncidentApi, renderer: Renderer) -> None:
        self._api, self._renderer = api, renderer

    async def incidents(self, request: Request) -> Response:
        """The list of incidents with its counters, filters and pages."""
        query = ListQuery.from_params(request.query_params)
        try:
            page, counts = await asyncio.gather(self._api.incidents(query), self._api.counts(query))
        except ApiAwayError as error:
            return self.away(query.url(page=query.page), str(error))
        except ApiRefusedError as error:
            return self.message(error.status, "The API refused this list", error.detail)
        return self._renderer.page(
            "incidents.html",
            query=query,
            incidents=page.incidents,
            total=page.total,
            counts=counts,
            severities=SEVERITIES,
            first=(query.page - 1) * PAGE_SIZE + 1,
            pages=max(1, -(-page.total // PAGE_SIZE)),
        )

    async def incident(self, request: Request, incident_id: int) -> Response:
        """One incident with all that is known about it."""
        done = request.query_params.get("changed", "")
        return await self._incident_page(request, incident_id, done=done if done in STATUSES else "")

    async def change(self, request: Request, incident_id: int) -> Response:
        """Change the status as the page's form asks, and show the incident again."""
        try:
            form = await read_status_form(request)
            check_same_origin(request, form.token)
        except BadFormError as error:
            return self.message(400, "The form could not be used", str(error))
        except ForgeryError as error:
            return self.message(403, "The change was refused", f"{error} Nothing was changed.")
        try:
            await self._api.change_status(incident_id, form.change, form.seen_etag)
        except ApiRefusedError as error:
            return await self._incident_page(request, incident_id, error.status, form=form, refusal=error.detail)
        except ApiAwayError as error:
            return self.away(f"/incidents/{incident_id}", str(error), unconfirmed=form)
        return _changed(incident_id, form)

    def away(self, again: str, reason: str, unconfirmed: StatusForm | None = None) -> Response:
        """The page that says that the API does not answer; it looks by itself whether it is back."""
        answer = self._renderer.page("away.html", 503, again=again, reason=reason, unconfirmed=unconfirmed)
        answer.headers["Retry-After"] = "5"
        return answer

    def message(self, status: int, title: str, detail: str) -> Response:
        """A page that says one thing."""
        return self._renderer.page("message.html", status, title=title, detail=detail)

    async def _incident_page(
        self,
        request: Request,
        incident_id: int,
        status: int = 200,
        *,
        form: StatusForm | None = None,
        done: str = "",
        refusal: str = "",
    ) -> Response:
        try:
            tagged = await self._api.incident(incident_id)
        except ApiAwayError as error:
            return self.away(f"/incidents/{incident_id}", str(error))
        except ApiRefusedError as error:
            title = "No such incident" if error.status == _NOT_FOUND else "The API refused to show this incident"
            return self.message(error.status, title, error.detail)
        present = tagged.incident.status
        token = token_of(request)
        answer = self._renderer.page(
            "incident.html",
            status,
            incident=tagged.incident,
            etag=tagged.etag,
            steps=[wanted for wanted in STATUSES if wanted != present and is_allowed(present, wanted)],
            token=token,
            actor=_actor(request, form),
            note=form.change.note if form else "",
            max_actor=MAX_ACTOR,
            max_note=MAX_NOTE,
            done=done,
            refusal=refusal,
            seen=form.seen_status if status == _PRECONDITION_FAILED and form else "",
        )
        keep_token(answer, token)
        return answer


def _actor(request: Request, form: StatusForm | None) -> str:
    """The name to put in the form: the one just sent, else the one that this browser sent last."""
    name = form.change.actor if form else unquote(request.cookies.get(_ACTOR_COOKIE, ""))
    return "" if name == ANONYMOUS else name[:MAX_ACTOR]


def _changed(incident_id: int, form: StatusForm) -> Response:
    """Lead the browser back to the incident, so that loading the page again sends nothing again."""
    answer = RedirectResponse(f"/incidents/{incident_id}?changed={form.change.to}", 303)
    answer.set_cookie(_ACTOR_COOKIE, quote(form.change.actor), max_age=_A_YEAR, httponly=True, samesite="strict")
    return answer
