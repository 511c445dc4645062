"""Where histories come from: the query API, over HTTP or within the process that serves it too."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Protocol, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from schemas.event import Attributes, Event
from schemas.levels import Level
from schemas.lifecycle import Status
from schemas.timestamps import EARLIEST, to_micros, to_rfc3339
from stream_processor.explain.history import (
    MAX_EVENTS,
    History,
    KnownIncident,
    PersonsChange,
    SeenEvent,
    look_back,
)
from stream_processor.rules import RuleSet

_PAGE: Final = 1_000
_MAX_TEXT: Final = 32 * 1024 * 1024
"""Characters of messages that are held at once; more are left out, as more than `MAX_EVENTS` events are."""
_MAX_INCIDENTS: Final = 50
"""Incidents whose timelines are read, the newest first."""
_LATEST: Final = to_micros(datetime.fromisoformat("9999-12-31T23:59:59Z"))

T = TypeVar("T")
Aware = Annotated[datetime, msgspec.Meta(tz=True)]


class UnknownService(Exception):  # noqa: N818 - reads as what it is
    """Nobody has heard of the service; the text says so."""


class SourceAway(Exception):  # noqa: N818 - the same
    """The query API gave no answer that can be used; the text says why."""


class HistorySource(Protocol):
    """Finds out what can matter at a time."""

    async def history(self, service: str, rules: RuleSet, at: int) -> History:
        """What `service` has sent up to and including `at` (microseconds), as far back as `look_back` says.

        Raises:
            UnknownService: it has never sent anything.
            SourceAway: nobody can tell at the moment.
        """


class _Event(msgspec.Struct):
    id: str
    level: Level
    message: str
    timestamp: Aware
    attributes: Attributes | None
    offset: int
    index: int
    received_at: Aware | None
    incident_id: int | None


class _Incident(msgspec.Struct):
    id: int
    key: str
    rule: str
    status: Status
    event_count: int
    first_event_at: Aware
    last_event_at: Aware


class _Change(msgspec.Struct):
    time: Aware
    actor: str
    what: str
    to: Status | None


class _Detail(msgspec.Struct):
    timeline: list[_Change]


class QueryApi:
    """The query API as a source of histories."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def history(self, service: str, rules: RuleSet, at: int) -> History:
        """See `HistorySource`."""
        known = await self._incidents(service)
        since = max(EARLIEST, look_back(rules, known, at))
        events, is_cut = await self._events(service, since, at)
        taken = {seen.incident_id for seen in events}
        concerned = [incident for incident in known if incident.id in taken or incident.is_active]
        detailed = [await self._with_changes(incident) for incident in concerned[:_MAX_INCIDENTS]]
        return History(service, since, at, events, [*detailed, *concerned[_MAX_INCIDENTS:]], is_cut)

    async def _incidents(self, service: str) -> list[KnownIncident]:
        found = await self._get("/api/v1/incidents", list[_Incident], service=service, limit=_PAGE)
        return [
            KnownIncident(
                one.id,
                one.key,
                one.rule,
                one.status,
                one.event_count,
                to_micros(one.first_event_at),
                to_micros(one.last_event_at),
            )
            for one in found
        ]

    async def _with_changes(self, incident: KnownIncident) -> KnownIncident:
        detail = await self._get(f"/api/v1/incidents/{incident.id}", _Detail)
        changes = [
            PersonsChange(to_micros(change.time), change.to, change.actor)
            for change in detail.timeline
            if change.what == "status_changed" and change.to
        ]
        return msgspec.structs.replace(incident, changes=changes)

    async def _events(self, service: str, since: int, at: int) -> tuple[Sequence[SeenEvent], bool]:
        """The newest events from `since` to `at`, both included, and whether older ones were left out."""
        path = f"/api/v1/services/{quote(service, safe='')}/events"
        bounds = {"since": to_rfc3339(since), "until": to_rfc3339(min(at, _LATEST) + 1)}
        found: dict[tuple[int, int], SeenEvent] = {}  # by place: events that come meanwhile shift the pages
        skipped = text = 0
        while len(found) < MAX_EVENTS and text < _MAX_TEXT:
            page = await self._get(path, list[_Event], **bounds, skip=skipped, limit=_PAGE)
            found |= {(seen.offset, seen.index): seen for seen in _as_seen(service, page)}
            skipped += len(page)
            text += sum(len(event.message) for event in page)
            if len(page) < _PAGE:
                return list(found.values()), False
        more = await self._get(path, list[_Event], **bounds, skip=skipped, limit=1)
        return list(found.values()), bool(more)

    async def _get(self, path: str, shape: type[T], **parameters: Any) -> T:
        try:
            answer = await self._client.get(path, params=parameters)
        except httpx.HTTPError as error:
            raise SourceAway(f"no connection to the query API ({str(error) or type(error).__name__})") from error
        if answer.status_code == httpx.codes.NOT_FOUND and path.startswith("/api/v1/services/"):
            raise UnknownService(_detail(answer))
        if not answer.is_success:
            raise SourceAway(f"the query API answered {answer.status_code}: {_detail(answer)}")
        try:
            return msgspec.json.decode(answer.content, type=shape)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise SourceAway(f"the query API gave an answer that cannot be read: {error}") from error


def _as_seen(service: str, page: Iterable[_Event]) -> list[SeenEvent]:
    return [
        SeenEvent(
            Event(one.id, service, one.level, one.message, to_micros(one.timestamp), one.attributes),
            one.offset,
            one.index,
            None if one.received_at is None else to_micros(one.received_at),
            one.incident_id,
        )
        for one in page
    ]


def _detail(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return answer.reason_phrase
