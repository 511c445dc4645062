"""The evidence itself: everything in it may leave, and its size has a limit whatever the incident's size is."""

import msgspec

from analyzer_worker.verdict import Sample

Counted = list[tuple[str, int]]
"""Texts with the number of events that have them, the most frequent first."""


class SentEvent(msgspec.Struct, frozen=True):
    """An event as the model sees it, and the sample it was made from."""

    id: str
    """A number of ours, as `e1`: the producer's ids are text from outside."""
    text: str
    sample: Sample
    times: int
    """How many of the events that were read have this text."""
    after: float = 0.0
    """Seconds after the incident's first event."""


class TemplateFacts(msgspec.Struct, frozen=True):
    """A message template: how often it occurs, from when to when, and which events show it."""

    template: str
    count: int
    first_after: float
    """Seconds after the incident's first event; of the events that were read."""
    last_after: float
    levels: dict[str, int]
    events: list[str]


class NeighbourFacts(msgspec.Struct, frozen=True):
    """Another service in trouble; `opened_after` in seconds, negative where it came first."""

    service: str
    category: str
    severity: str
    opened_after: int
    events: int


class PastFacts(msgspec.Struct, frozen=True):
    """A similar incident that ended, and how."""

    service: str
    category: str
    summary: str
    similarity: float
    ended_by: str | None
    note: str | None


class Buckets(msgspec.Struct, frozen=True):
    """Events by time: the first bucket begins with the minute of the first event."""

    minutes_each: int
    counts: list[int]
    exact: bool


class Evidence(msgspec.Struct, frozen=True):
    """What is known of an incident. Counts are of all its events, estimated from those read unless `exact`."""

    service: str
    rule: str
    why: str
    event_count: int
    seconds: float
    read: int
    exact: bool
    levels: dict[str, int]
    buckets: Buckets
    service_minutes: list[tuple[int, dict[str, int]]]
    """All events of the service, counted or not, by minutes after the incident's first event."""
    hosts: Counted
    other_hosts: int
    traces: Counted
    other_traces: int
    attributes: Counted
    templates: list[TemplateFacts]
    other_templates: int
    events: list[SentEvent]
    neighbours: list[NeighbourFacts] | None
    past: list[PastFacts] | None
    redacted: dict[str, int]
