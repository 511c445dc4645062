"""The incident record of `ops.incidents`: the whole incident, versioned, so that the newest version stands alone."""

from typing import Literal

import msgspec

from schemas.analysis import Severity
from schemas.levels import Level
from schemas.lifecycle import Status
from schemas.verdict import Verdict

ChangeKind = Literal[
    "opened", "status_changed", "status_refused", "judged", "quiet", "stirred", "merged", "heard", "silent"
]  # fmt: skip
"""What a timeline entry tells: `judged`, a person gave a verdict and nothing else changed; `quiet`, the quiet period
passed and the system resolved it; `stirred`, an event from within the quiet period came after that and it is active
again; `merged`, late events joined it to the one before; `heard`, a service that was silent sends again and the system
resolved it; `silent`, it fell silent again while a person worked on that."""

SYSTEM: str = "system"
"""The actor of changes that no person made."""


class Change(msgspec.Struct, frozen=True, omit_defaults=True):
    """One entry of an incident's timeline. `at` is in microseconds since the epoch.

    `after`: where a person or the wall clock came between events: the offset of the record of `ops.events`, in the
    incident's partition, that it follows. So the order of all that led to an incident can be found again.
    """

    at: int
    actor: str
    what: ChangeKind
    reason: str
    from_status: Status | None = None
    to_status: Status | None = None
    note: str | None = None
    change_id: str | None = None
    after: int | None = None
    verdict: Verdict | None = None


class EventPosition(msgspec.Struct, frozen=True, array_like=True):
    """Where an event lies in `ops.events`: its record's offset and its place in the record's array."""

    offset: int
    index: int


class MinuteCount(msgspec.Struct, frozen=True, array_like=True):
    """Events of the service in one tumbling minute; `minute` is its start in minutes since the epoch."""

    minute: int
    by_level: dict[Level, int]


class Incident(msgspec.Struct, frozen=True, omit_defaults=True):
    """One version of an incident. Times are event times in microseconds since the epoch unless said otherwise.

    `version` counts the changes and events the incident has taken in: the same version has the same content, and a
    greater one replaces a smaller one, whatever the order of delivery.
    """

    key: str
    version: int
    service: str
    rule: str
    status: Status
    event_count: int
    first_event_at: int
    last_event_at: int
    created_at: int
    """When the record that opened it was appended to the log (wall clock)."""
    updated_at: int
    """When the newest record or change that it includes was appended to the log or made (wall clock)."""
    threshold: int
    window: int
    """The rule's window in microseconds."""
    reason: str
    partition: int
    """The partition of `ops.events` that holds its events."""
    samples: list[EventPosition]
    """Its first events, at most 20, for whoever wants their text."""
    timeline: list[Change]
    lateness: int = 0
    """How far behind the service's newest event time the event that opened it was; 0: it was on time."""
    minutes: list[MinuteCount] = []
    """The service's events of the last minutes before `updated_at`, for a rate."""
    severity_floor: Severity | None = None
    previous_key: str | None = None
    merged_into: str | None = None
    """The key of the incident that late events showed it to be part of; such a record is no incident of its own."""
    shadow: bool = False
    """Its rule is on trial: nobody is told of it."""


class AttachedEvent(msgspec.Struct, frozen=True, array_like=True):
    """An event that an incident has taken in: its place in `ops.events` and its event time."""

    offset: int
    index: int
    timestamp: int


class IncidentEvents(msgspec.Struct, frozen=True):
    """A record of `ops.incident-events`: events that an incident has taken in since the record before."""

    key: str
    service: str
    partition: int
    events: list[AttachedEvent]
