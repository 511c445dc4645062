"""What a service has sent and what people did to its incidents, in the order in which the detection took it in."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Final, NamedTuple

import msgspec

from schemas.event import Event
from schemas.lifecycle import ACTIVE, Status
from schemas.status_change import StatusChange
from stream_processor.decisions import Arrival
from stream_processor.rules import RuleSet

MAX_EVENTS: Final = 20_000
"""The newest events that are looked at; more are left out, and the answer says so."""

Step = Arrival | StatusChange


class SeenEvent(msgspec.Struct, frozen=True):
    """An event and its place in the partition.

    `received_at`: when its record was appended to the log (wall clock, microseconds); None: the view does not know.
    `incident_id`: the incident that took it in, one of them.
    """

    event: Event
    offset: int
    index: int
    received_at: int | None = None
    incident_id: int | None = None


class PersonsChange(msgspec.Struct, frozen=True):
    """A status that a person has set. `at`: wall clock, in microseconds."""

    at: int
    to: Status
    actor: str


class KnownIncident(msgspec.Struct, frozen=True):
    """An incident as the view shows it. Times are event times in microseconds."""

    id: int
    key: str
    rule: str
    status: Status
    event_count: int
    first_event_at: int
    last_event_at: int
    changes: Sequence[PersonsChange] = ()

    @property
    def is_active(self) -> bool:
        """Whether people see it as open or under investigation."""
        return self.status in ACTIVE


class History(msgspec.Struct, frozen=True):
    """What was found. `since`: the first event time looked at; `is_cut`: older events were left out."""

    service: str
    since: int
    at: int
    events: Sequence[SeenEvent]
    incidents: Sequence[KnownIncident]
    is_cut: bool = False


def look_back(rules: RuleSet, incidents: Iterable[KnownIncident], at: int) -> int:
    """The event time (microseconds) from which on events can matter at `at`.

    The longest window, the allowed lateness and the longest quiet period; an incident that was alive then is taken
    whole, since all that it took in would otherwise look like a beginning.
    """
    quiet = {rule.name: rule.quiet_period for rule in rules.rules}
    margin = rules.allowed_lateness + max((rule.window for rule in rules.rules), default=0)
    since = at - margin - max(quiet.values(), default=0)
    for incident in sorted(incidents, key=lambda incident: -incident.last_event_at):
        alive_to = incident.last_event_at + quiet.get(incident.rule, 0)
        is_alive = alive_to >= since or (not quiet.get(incident.rule, 1) and incident.is_active)
        if incident.first_event_at <= at and is_alive:
            since = min(since, incident.first_event_at - margin)
    return since


def steps(history: History) -> list[Step]:
    """Events and people's changes, one after the other.

    The log tells the order of events, the wall clock where a change came between them. Of events whose receipt is not
    known it is taken to be the newest event time so far.
    """
    events = sorted(history.events, key=lambda seen: (seen.offset, seen.index))
    received = [seen.event.timestamp if seen.received_at is None else seen.received_at for seen in events]
    clock = list(accumulate(received, max))
    arrivals = [Arrival(events[n].event, n, 0, now) for n, now in enumerate(clock)]  # each a record of its own
    placed: list[_Placed] = []
    for incident in history.incidents:
        for number, change in enumerate(incident.changes):
            place = bisect_right(clock, change.at)
            if change.at <= history.at or place < len(clock):
                placed.append(_Placed(place, number, _as_record(history.service, incident, number)))
    return _woven(arrivals, placed)


class _Placed(NamedTuple):
    """A change, and the number of arrivals that come before it."""

    place: int
    number: int
    change: StatusChange


def _as_record(service: str, incident: KnownIncident, number: int) -> StatusChange:
    change = incident.changes[number]
    return StatusChange(f"{incident.id}-{number}", incident.key, service, change.to, change.actor, change.at)


def _woven(arrivals: Sequence[Arrival], placed: list[_Placed]) -> list[Step]:
    """The changes before the arrivals of their places."""
    woven: list[Step] = []
    waiting = sorted(placed, key=lambda found: (found.place, found.change.at, found.number), reverse=True)
    for place, arrival in enumerate(arrivals):
        while waiting and waiting[-1].place <= place:
            woven.append(waiting.pop().change)
        woven.append(arrival)
    return [*woven, *(found.change for found in reversed(waiting))]
