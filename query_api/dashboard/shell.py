"""What all pages share: how they are answered, and what is said when the API is silent or refuses."""

from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import quote, unquote

from fastapi import Request, Response

from query_api.dashboard.api_client import ApiAwayError, ApiRefusedError
from query_api.dashboard.forms import ANONYMOUS, MAX_ACTOR, MAX_NOTE, BadFormError
from query_api.dashboard.incident_api import StatusRequest
from query_api.dashboard.rendering import Renderer
from query_api.dashboard.security import ForgeryError, keep_token, token_of

_ACTOR_COOKIE: Final = "ops_assist_actor"
_A_YEAR: Final = 365 * 24 * 3600  # seconds


class Shell:
    """Answers with pages."""

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer

    def page(self, template: str, status: int = 200, **context: Any) -> Response:
        """A page without a form."""
        return self._renderer.page(template, status, **context)

    def form_page(self, request: Request, template: str, status: int = 200, **context: Any) -> Response:
        """A page with a form, which gets the token that it has to send back, and the name of who sent one before."""
        token = token_of(request)
        known = {"token": token, "actor": actor_of(request), "max_actor": MAX_ACTOR, "max_note": MAX_NOTE}
        answer = self._renderer.page(template, status, **(known | context))
        keep_token(answer, token)
        return answer

    def away(self, again: str, reason: str, unconfirmed: StatusRequest | None = None) -> Response:
        """The page that says that the API does not answer; it looks by itself whether it is back."""
        answer = self._renderer.page("away.html", 503, again=again, reason=reason, unconfirmed=unconfirmed)
        answer.headers["Retry-After"] = "5"
        return answer

    def message(self, status: int, title: str, detail: str) -> Response:
        """A page that says one thing."""
        return self._renderer.page("message.html", status, title=title, detail=detail)

    async def guarded(
        self, again: str, make: Callable[[], Awaitable[Response]], unconfirmed: StatusRequest | None = None
    ) -> Response:
        """The page that `make` gives, else the one that says why it cannot be shown."""
        try:
            return await make()
        except ApiAwayError as error:
            return self.away(again, str(error), unconfirmed)
        except ApiRefusedError as error:
            return self.message(error.status, "The API refused to show this", error.detail)

    def unusable(self, error: BadFormError | ForgeryError) -> Response:
        """The page for a form that was not followed."""
        if isinstance(error, BadFormError):
            return self.message(400, "The form could not be used", str(error))
        return self.message(403, "The form was refused", f"{error} Nothing was changed.")


def actor_of(request: Request) -> str:
    """The name that this browser sent last."""
    return unquote(request.cookies.get(_ACTOR_COOKIE, ""))[:MAX_ACTOR]


def keep_actor(answer: Response, actor: str) -> None:
    """Let the browser remember who works with it."""
    if actor == ANONYMOUS:
        answer.delete_cookie(_ACTOR_COOKIE, httponly=True, samesite="strict")
    else:
        answer.set_cookie(_ACTOR_COOKIE, quote(actor), max_age=_A_YEAR, httponly=True, samesite="strict")
