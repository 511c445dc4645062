"""The pages' forms: read with bounds, checked, and turned into requests to the API."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs

from fastapi import Request

from query_api.dashboard.incident_api import CorrectionRequest, Selected, StatusRequest
from query_api.dashboard.list_query import PAGE_SIZE
from query_api.dashboard.security import TOKEN_FIELD
from schemas.lifecycle import STATUSES, Status
from schemas.verdict import GIVEN_WITH, VERDICTS

MAX_NOTE: Final = 4_000  # characters, as many as the API takes
MAX_ACTOR: Final = 100  # characters
ANONYMOUS: Final = "dashboard"
"""The actor of a change whose person gave no name."""

_MAX_BODY: Final = 65_536  # bytes; the longest note, percent-encoded, needs 48,000
_OTHER_FIELDS: Final = 20
_MAX_FIELDS: Final = PAGE_SIZE + _OTHER_FIELDS
_ETAG: Final = re.compile(r'((W/)?"[\x21\x23-\x7e]{0,200}")?', re.ASCII)
_SELECTED: Final = re.compile(r"([0-9]{1,10}):([a-z]{1,20})", re.ASCII)
_NO_HEADER_TEXT: Final = re.compile(r"[\x00-\x1f\x7f]+")

Fields = Mapping[str, list[str]]


class BadFormError(Exception):
    """A form that cannot be read; the text is a sentence for the person who sent it."""


@dataclass(frozen=True)
class StatusForm:
    """What the person asked for, and the state of the incident that they saw when they did."""

    change: StatusRequest
    seen_status: str
    seen_etag: str
    token: str


@dataclass(frozen=True)
class CorrectionForm:
    """What the person says the incident is, and the version that they saw."""

    correction: CorrectionRequest
    seen_etag: str
    token: str


@dataclass(frozen=True)
class BulkForm:
    """What the person asked for, and of which incidents."""

    change: StatusRequest
    selected: list[Selected]
    token: str


async def read_status_form(request: Request) -> StatusForm:
    """Read the form of one incident.

    Raises:
        BadFormError: where it is no form, too long, or has not what the page's own form has.
    """
    fields = await read_fields(request)
    return StatusForm(_change(fields), last(fields, "seen_status"), _etag(fields), last(fields, TOKEN_FIELD))


async def read_correction_form(request: Request) -> CorrectionForm:
    """Read the form that corrects an analysis; the API checks what it names.

    Raises:
        BadFormError: where it is no form, too long, or has not what the page's own form has.
    """
    fields = await read_fields(request)
    note = text_of(fields, "note")[:MAX_NOTE]
    correction = CorrectionRequest(last(fields, "category"), last(fields, "severity"), _actor(fields), note)
    return CorrectionForm(correction, _etag(fields), last(fields, TOKEN_FIELD))


async def read_bulk_form(request: Request) -> BulkForm:
    """Read the form of the list.

    Raises:
        BadFormError: where it is no form, names no incident, or has not what the page's own form has.
    """
    fields = await read_fields(request)
    found = [_SELECTED.fullmatch(item) for item in fields.get("incident", [])]
    selected = {int(match[1]): Selected(int(match[1]), match[2]) for match in found if match}
    if not selected:
        raise BadFormError("No incident was chosen. Tick the ones that you mean, and try again.")
    return BulkForm(_change(fields), list(selected.values()), last(fields, TOKEN_FIELD))


async def read_fields(request: Request) -> Fields:
    """The fields of a form.

    Raises:
        BadFormError: where it is no form, or too long.
    """
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        raise BadFormError("The body is no form: application/x-www-form-urlencoded is wanted.")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BODY:
            raise BadFormError("The form is too long.")
    try:
        return parse_qs(body.decode(), keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict")
    except ValueError as error:
        raise BadFormError("The form cannot be read.") from error


def last(fields: Fields, name: str) -> str:
    """The value of a field; empty where it is not in the form."""
    return fields.get(name, [""])[-1]


def text_of(fields: Fields, name: str) -> str:
    """The value of a text area: with the line ends of this side, and no blanks around it."""
    return last(fields, name).replace("\r\n", "\n").strip()


def _etag(fields: Fields) -> str:
    etag = last(fields, "etag")
    if not _ETAG.fullmatch(etag):
        raise BadFormError("The form does not say which version of the incident it is about. Load the page again.")
    return etag


def _actor(fields: Fields) -> str:
    actor = _NO_HEADER_TEXT.sub(" ", last(fields, "actor")).strip()
    return actor[:MAX_ACTOR] or ANONYMOUS


def _change(fields: Fields) -> StatusRequest:
    status, verdict = _status(last(fields, "status")), last(fields, "verdict")
    judged = verdict if status in GIVEN_WITH and verdict in VERDICTS else ""
    return StatusRequest(status, _actor(fields), text_of(fields, "note")[:MAX_NOTE], judged)


def _status(text: str) -> Status:
    for status in STATUSES:
        if status == text:
            return status
    raise BadFormError("The form names no status. Load the page again and use one of its buttons.")
