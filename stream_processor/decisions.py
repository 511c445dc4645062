"""What the detection has decided and the shell must carry out."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import msgspec

from schemas.event import Event
from schemas.incident import AttachedEvent, Incident, IncidentEvents
from stream_processor.ledger import Reason
from stream_processor.near_misses import NearMiss
from stream_processor.rules import CountRule
from stream_processor.span import Item, Span
from stream_processor.state import EndedRow

StatusReason = Literal["applied", "refused", "repeated", "unknown_incident", "unreadable"]


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """An event and where it lies: its record's offset and its place in the record's array.

    `received_at`: when the record was appended to the log, in microseconds since the epoch.
    """

    event: Event
    offset: int
    index: int
    received_at: int


class Opened(NamedTuple):
    """An incident that was opened, by the event at `offset`: the last to arrive of those that it took."""

    key: str
    rule: str
    service: str
    offset: int


class Decisions:
    """Collects what some inputs have caused; the newest version of an incident stands for all of them."""

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.ledger: Counter[Reason] = Counter()
        self.opened: Counter[str] = Counter()
        self.begun: dict[str, None] = {}
        """The keys of the incidents that were opened, in order."""
        self.late: list[Arrival] = []
        self.near: list[NearMiss] = []
        self.unjudged: Counter[tuple[str, str]] = Counter()
        """Events that a rule could not judge, by the rule's name and why."""
        self._incidents: dict[str, tuple[str, str, Span]] = {}
        self._events: dict[str, IncidentEvents] = {}
        self._ended: dict[str, EndedRow] = {}

    def changed(self, service: str, rule: str, span: Span) -> None:
        """An incident has a new version to publish."""
        self._incidents[span.key] = (service, rule, span)

    def took_in(self, service: str, rule: str, span: Span, items: list[Item]) -> None:  # noqa: ARG002 - others ask
        """An incident of `rule` has taken events in."""
        attached = [AttachedEvent(item.offset, item.index, item.time) for item in items]
        known = self._events.get(span.key)
        if known is None:
            self._events[span.key] = IncidentEvents(span.key, service, self.partition, attached)
        else:
            known.events.extend(attached)

    def left_loose(self, service: str, rule: CountRule, loose: Sequence[Item], item: Item) -> None:
        """An event counts and is in no incident; for whoever looks for near misses."""

    def ended(self, service: str, rule: str, span: Span) -> None:
        """Events no longer change an incident: it moves to a row of its own."""
        self._ended[span.key] = EndedRow(service, rule, span)

    def near_miss(self, service: str, rule: str, count: int, first: int, last: int) -> None:
        """A window has passed that was nearly an incident."""
        self.near.append(NearMiss(rule, service, count, first, last))

    def spans(self) -> Iterable[tuple[str, str, Span]]:
        """What has changed, as service, rule and incident."""
        return self._incidents.values()

    def openings(self) -> list[Opened]:
        """The incidents that were opened, in order."""
        spans = ((key, self._incidents[key]) for key in self.begun if key in self._incidents)
        return [Opened(key, rule, service, max(i.offset for i in span.head)) for key, (service, rule, span) in spans]

    def causes(self) -> dict[str, int]:
        """The record whose event opened each incident, by key; of one that stood, that of the last it took in."""
        found = {key: known.events[-1].offset for key, known in self._events.items() if known.events}
        return found | {opened.key: opened.offset for opened in self.openings()}

    def incidents(self) -> list[Incident]:
        """The incident records to publish."""
        return [span.record(service, rule, self.partition) for service, rule, span in self._incidents.values()]

    def events(self, most: int) -> list[IncidentEvents]:
        """The records of `ops.incident-events` to publish, each with at most `most` events."""
        return [
            msgspec.structs.replace(record, events=record.events[start : start + most])
            for record in self._events.values()
            for start in range(0, len(record.events), most)
        ]

    def ended_rows(self) -> list[EndedRow]:
        """The ended incidents to write."""
        return list(self._ended.values())
