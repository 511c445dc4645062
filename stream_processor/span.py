"""An incident as the detection keeps it: a span of event time that takes in further events."""

import msgspec

from schemas.analysis import Severity
from schemas.incident import SYSTEM, Change, ChangeKind, EventPosition, Incident, MinuteCount
from schemas.lifecycle import ACTIVE, Status
from schemas.verdict import Verdict

MAX_SAMPLES = 20


class Item(msgspec.Struct, frozen=True, array_like=True, order=True, gc=False):
    """A qualifying event: its event time (microseconds) and its place in the partition. Sorts by time, then place."""

    time: int
    offset: int
    index: int


class Span(msgspec.Struct, array_like=True):
    """One incident. `head` holds the events that opened it, in order of time; the body is only counted.

    That is enough: an event that comes out of order can move the opening only among the head and what lay before it.
    """

    key: str
    version: int
    status: Status
    head: list[Item]
    last: int
    count: int
    created_at: int
    updated_at: int
    threshold: int
    window: int
    reason: str
    samples: list[EventPosition]
    timeline: list[Change]
    minutes: list[MinuteCount]
    lateness: int = 0
    severity_floor: Severity | None = None
    previous_key: str | None = None
    merged_into: str | None = None
    heard_at: int = 0
    """When the newest event that it took in was appended to the log (wall clock)."""
    kept_alive_at: int = 0
    """The service's newest event time when a person reopened it: the quiet period runs from there at the earliest."""
    quiet_from: Status | None = None
    """The status it had when the quiet period was seen to pass on the wall clock; an event may stir it again."""
    taken_up: list[Item] = []
    """What it took in when a person last reopened it: told again where that change is delivered again."""
    shadow: bool = False
    """Its rule is on trial; an incident that is active when its rule is promoted counts from its next event on."""

    @property
    def opened_at(self) -> int:
        """The event time at which the threshold was full."""
        return self.head[-1].time

    @property
    def alive_at(self) -> int:
        """The event time from which the quiet period runs."""
        return max(self.kept_alive_at, self.last)

    @property
    def is_active(self) -> bool:
        """Whether people see it as open or under investigation."""
        return self.status in ACTIVE

    def take_in(self, items: list[Item], received_at: int) -> None:
        """Count `items`, which belong to it from now on; an event stirs an incident that had fallen quiet."""
        self.count += len(items)
        for item in items:
            if item.time > self.last:
                self.last = item.time
            if len(self.samples) < MAX_SAMPLES:
                self.samples.append(EventPosition(item.offset, item.index))
        self.touch(received_at)
        if received_at > self.heard_at:
            self.heard_at = received_at
        if self.quiet_from:
            self.note("stirred", "an event from within its quiet period arrived", received_at, to=self.quiet_from)
            self.quiet_from = None

    def touch(self, at: int) -> None:
        """It has changed: a new version, as of `at`."""
        self.version += 1
        if at > self.updated_at:
            self.updated_at = at

    def note(
        self,
        what: ChangeKind,
        reason: str,
        at: int,
        *,
        to: Status | None = None,
        actor: str = SYSTEM,
        note: str | None = None,
        change_id: str | None = None,
        after: int | None = None,
        verdict: Verdict | None = None,
    ) -> None:
        """Write a timeline entry and, where `to` is given, take that status."""
        before = self.status if to and to != self.status else None
        self.timeline.append(Change(at, actor, what, reason, before, to, note, change_id, after, verdict))
        self.status = to or self.status

    def knows_change(self, change_id: str) -> bool:
        """Whether its timeline holds the status change already."""
        return any(change.change_id == change_id for change in self.timeline)

    def record(self, service: str, rule: str, partition: int) -> Incident:
        """The incident record of its present version."""
        return Incident(
            key=self.key,
            version=self.version,
            service=service,
            rule=rule,
            status=self.status,
            event_count=self.count,
            first_event_at=self.head[0].time,
            last_event_at=self.last,
            created_at=self.created_at,
            updated_at=self.updated_at,
            threshold=self.threshold,
            window=self.window,
            reason=self.reason,
            partition=partition,
            samples=list(self.samples),
            timeline=list(self.timeline),
            lateness=self.lateness,
            minutes=self.minutes,
            severity_floor=self.severity_floor,
            previous_key=self.previous_key,
            merged_into=self.merged_into,
            shadow=self.shadow,
        )
