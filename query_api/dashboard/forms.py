"""The status form: read with bounds, checked, and turned into a request to the API."""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs

from fastapi import Request

from query_api.dashboard.api_client import StatusRequest
from query_api.dashboard.security import TOKEN_FIELD
from schemas.lifecycle import STATUSES

MAX_NOTE: Final = 4_000  # characters, as many as the API takes
MAX_ACTOR: Final = 100  # characters
ANONYMOUS: Final = "dashboard"
"""The actor of a change whose person gave no name."""

_MAX_BODY: Final = 65_536  # bytes; the longest note, percent-encoded, needs 48,000
_MAX_FIELDS: Final = 20
_ETAG: Final = re.compile(r'((W/)?"[\x21\x23-\x7e]{0,200}")?', re.ASCII)
_NO_HEADER_TEXT: Final = re.compile(r"[\x00-\x1f\x7f]+")


class BadFormError(Exception):
    """A form that cannot be read; the text is a sentence for the person who sent it."""


@dataclass(frozen=True)
class StatusForm:
    """What the person asked for, and the state of the incident that they saw when they did."""

    change: StatusRequest
    seen_status: str
    seen_etag: str
    token: str


async def read_status_form(request: Request) -> StatusForm:
    """Read the status form.

    Raises:
        BadFormError: where it is no form, too long, or has not what the page's own form has.
    """
    fields = await _read_fields(request)
    status, etag = fields.get("status", ""), fields.get("etag", "")
    if status not in STATUSES:
        raise BadFormError("The form names no status. Load the page again and use one of its buttons.")
    if not _ETAG.fullmatch(etag):
        raise BadFormError("The form does not say which version of the incident it is about. Load the page again.")
    actor = _NO_HEADER_TEXT.sub(" ", fields.get("actor", "")).strip()
    note = fields.get("note", "").replace("\r\n", "\n").strip()
    change = StatusRequest(status, actor[:MAX_ACTOR] or ANONYMOUS, note[:MAX_NOTE])
    return StatusForm(change, fields.get("seen_status", ""), etag, fields.get(TOKEN_FIELD, ""))


async def _read_fields(request: Request) -> dict[str, str]:
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        raise BadFormError("The body is no form: application/x-www-form-urlencoded is wanted.")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BODY:
            raise BadFormError("The form is too long.")
    try:
        fields = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict")
    except ValueError as error:
        raise BadFormError("The form cannot be read.") from error
    return {name: values[-1] for name, values in fields.items()}
