"""What several routes share: the incident of a path, who is asking, a small JSON body."""

from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Header, Path, Request, Response
from sqlmodel.ext.asyncio.session import AsyncSession

from query_api import queries
from query_api.answers import problems
from query_api.etag import etag, matches
from query_api.models import IncidentRow
from query_api.text import clean
from runtime.problem import Problem

MAX_ACTOR: Final = 100
MAX_NOTE: Final = 4_000
NOTE_SCHEMA: Final[dict[str, Any]] = {"type": ["string", "null"], "maxLength": MAX_NOTE}
CHANGED_SINCE: Final = "The incident has changed since you read it; read it again"
_MAX_BODY: Final = 64 * 1024
_ANONYMOUS: Final = "anonymous"

IncidentId = Annotated[int, Path(description="The integer id of the incident.", examples=[1])]
IfMatchHeader = Annotated[str | None, Header(description="The ETag that the change is based on.")]
ActorHeader = Annotated[str | None, Header(alias="X-Actor", description="Who does it; shown in the timeline.")]

NOT_FOUND: Final = problems(
    status_404="There is no incident 42",
    status_422="incident_id: Input should be a valid integer, unable to parse string as an integer",
)
AWAY: Final = problems(status_503="The view is not there: the database cannot be reached; please try again")


async def found_incident(session: AsyncSession, incident_id: int) -> IncidentRow:
    """The incident of a path.

    Raises:
        Problem: 404 where there is none.
    """
    row = await queries.incident(session, incident_id)
    if row is None:
        raise Problem(404, f"There is no incident {incident_id}")
    return row


async def active_record(session: AsyncSession, incident_id: int) -> IncidentRow:
    """The incident of a path that is to be changed.

    Raises:
        Problem: 404 where there is none, 409 where it is part of another by now.
    """
    row = await found_incident(session, incident_id)
    if row.merged_into:
        target = (await queries.ids_of(session, [row.merged_into])).get(row.merged_into, "another one")
        raise Problem(409, f"The incident was merged into {target}; work on that one instead")
    return row


def actor(header: str | None) -> str:
    """Who asks, from X-Actor. Headers travel as latin-1; people's names may be UTF-8."""
    if header is None or not header.strip():
        return _ANONYMOUS
    try:
        name = header.encode("latin-1").decode()
    except UnicodeError:
        name = header
    return clean(name.strip())[:MAX_ACTOR]


def note_of(body: dict[str, Any]) -> str | None:
    """The note of a request's body, if it has one.

    Raises:
        Problem: 422 where it is no text, or too long.
    """
    note = body.get("note")
    if note is not None and (not isinstance(note, str) or len(note) > MAX_NOTE):
        raise Problem(422, f"note: expected a string of at most {MAX_NOTE} characters")
    return clean(note) if note else None


def check_tag(row: IncidentRow, if_match: str | None) -> None:
    """Raise `Problem` 412 where the incident has changed since the request's maker read it."""
    if not matches(if_match, etag(row)):
        raise Problem(412, CHANGED_SINCE, headers={"ETag": etag(row)})


def refuse_reading(routes: APIRouter, path: str, problem: Problem) -> None:
    """Answer GET at `path` with `problem`: else the last part of the path would be taken for an incident's id."""

    @routes.api_route(path, methods=["GET", "HEAD"], include_in_schema=False)
    async def refused() -> Response:
        raise problem


def whole(value: Any) -> Any:
    """A number of a body: JSON knows no integers, and 1.0 is one to JSON Schema."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


async def json_body(request: Request) -> Any:
    """The JSON value of a small body; None where it is empty.

    Raises:
        Problem: 400 where it is no JSON, 413 where it is over 64 KiB.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BODY:
            raise Problem(413, f"The body is larger than {_MAX_BODY} bytes")
    if not body.strip():
        return None
    try:
        return msgspec.json.decode(bytes(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(400, f"The body is not JSON: {error}") from error
