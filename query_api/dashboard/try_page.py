"""Trying it: events sent from a page, as any producer sends them, and the incident that comes of them."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from query_api.dashboard.api_client import ApiAwayError, ApiRefusedError
from query_api.dashboard.forms import BadFormError, Fields, last, read_fields, text_of
from query_api.dashboard.incident_api import IncidentApi
from query_api.dashboard.operations_api import Burst, OperationsApi
from query_api.dashboard.records import BatchAnswer
from query_api.dashboard.security import TOKEN_FIELD, ForgeryError, check_same_origin
from query_api.dashboard.shell import Shell
from schemas.event import MAX_MESSAGE, MAX_SERVICE
from schemas.levels import LEVELS

MAX_EVENTS: Final = 100
_SHOWN: Final = 3
_MAX_SHOWN_MESSAGE: Final = 1_000
"""Characters of a message that are kept in the address, so that the form still has it after it was sent."""


@dataclass(frozen=True)
class Example:
    """Something to fill the form with."""

    label: str
    burst: Burst


EXAMPLES: Final = {
    "database": Example(
        "Database pool", Burst("user-service", "ERROR", "Database connection pool exhausted: 50 of 50 in use", 6)
    ),
    "timeout": Example(
        "Gateway timeout", Burst("api-gateway", "ERROR", "504 Gateway Timeout: orders did not answer within 30 s", 6)
    ),
    "memory": Example(
        "Out of memory", Burst("analytics-worker", "FATAL", "java.lang.OutOfMemoryError: Java heap space", 6)
    ),
    "disk": Example("Disk full", Burst("storage-service", "CRITICAL", "write /data/wal: no space left on device", 6)),
    "warning": Example("Only warnings", Burst("user-service", "WARNING", "Response time above 2 s", 6)),
}


class TryPage:
    """Shows the form and follows it."""

    def __init__(self, shell: Shell, operations: OperationsApi, incidents: IncidentApi) -> None:
        self._shell, self._operations, self._incidents = shell, operations, incidents

    async def show(self, request: Request) -> Response:
        """The form, and after events were sent what came of them."""
        params = request.query_params
        example = EXAMPLES.get(params.get("example", ""), EXAMPLES["database"]).burst
        burst = Burst(
            params.get("service", example.service),
            params.get("level", example.level),
            params.get("message", example.message),
            _number(params.get("count", ""), default=example.count),
        )
        sent = _number(params.get("sent", ""), default=0)
        return await self._shell.guarded("/try", lambda: self._page(request, burst, sent=sent))

    async def send(self, request: Request) -> Response:
        """Send what the form says, and show what came of it."""
        try:
            fields = await read_fields(request)
            check_same_origin(request, last(fields, TOKEN_FIELD))
        except (BadFormError, ForgeryError) as error:
            return self._shell.unusable(error)
        burst = burst_of(fields)
        try:
            answer = await self._operations.send(burst)
        except ApiRefusedError as error:
            return await self._refused(request, burst, error.status, f"The gateway refused it: {error.detail}")
        except ApiAwayError as error:
            problem = f"{error} Whether the events were accepted is not known; look before you send them again."
            return await self._refused(request, burst, 503, problem)
        if answer.rejected:
            return await self._refused(request, burst, 422, _why(answer))
        return RedirectResponse(_sent_url(burst, answer.accepted), 303)

    async def _refused(self, request: Request, burst: Burst, status: int, problem: str) -> Response:
        return self._form(request, burst, status, problem=problem)

    async def _page(self, request: Request, burst: Burst, *, sent: int) -> Response:
        found = await self._incidents.newest_of(burst.service, _SHOWN) if sent else []
        return self._form(request, burst, sent=sent, incidents=found)

    def _form(self, request: Request, burst: Burst, status: int = 200, **context: object) -> Response:
        shown: dict[str, object] = {"sent": 0, "incidents": [], "problem": ""}
        limits = {"max_events": MAX_EVENTS, "max_service": MAX_SERVICE, "max_message": MAX_MESSAGE, "levels": LEVELS}
        return self._shell.form_page(
            request, "try.html", status, burst=burst, examples=EXAMPLES, **limits, **(shown | context)
        )


def burst_of(fields: Fields) -> Burst:
    """What the form asks for; the gateway judges all but the number, which is bounded here."""
    count = _number(last(fields, "count"), default=1)
    return Burst(last(fields, "service").strip(), last(fields, "level"), text_of(fields, "message"), count)


def _number(text: str, *, default: int) -> int:
    """A number of events: at most MAX_EVENTS."""
    digits = text.strip()
    usable = digits.isascii() and digits.isdecimal() and len(digits) <= len(str(MAX_EVENTS))
    return min(int(digits), MAX_EVENTS) if usable and int(digits) else default


def _why(answer: BatchAnswer) -> str:
    errors = answer.rejected[0].errors
    reasons = "; ".join(f"{error.get('field', '')}: {error.get('message', '')}" for error in errors)
    return f"{len(answer.rejected)} events were refused, {answer.accepted} accepted. {reasons}"


def _sent_url(burst: Burst, accepted: int) -> str:
    """Elsewhere, so that loading the page again sends nothing again."""
    message = burst.message[:_MAX_SHOWN_MESSAGE]
    shown = {"sent": accepted, "service": burst.service, "level": burst.level, "message": message, "count": burst.count}
    return f"/try?{urlencode(shown)}#result"
