"""What the machines of all watching kinds have in common, and how the time of a window is told."""

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from schemas.event import Event
from schemas.timestamps import to_rfc3339
from stream_processor.kind_states import AbsenceState, PatternState, RateState, RatioState
from stream_processor.rules import WatchingRule
from stream_processor.sighting import Sighting
from stream_processor.sliding import Outcome
from stream_processor.span import Item

R = TypeVar("R", bound=WatchingRule)
S = TypeVar("S", RateState, RatioState, PatternState, AbsenceState)


class Machine(ABC, Generic[R, S]):
    """A rule of one kind at one service and record: decides which events qualify, and when.

    `heard`: the log's clock at the record, in microseconds.
    """

    def __init__(self, sighting: Sighting, rule: R, own: type[S], heard: int) -> None:
        known = sighting.known.own
        if not isinstance(known, own) or known.shape != rule.shape:
            known = own(rule.shape)
            sighting.state.replace_own(rule.name, known)
        self.sighting = sighting
        self.rule = rule
        self.own: S = known
        self.heard = heard

    def is_late(self, time: int) -> bool:
        """Whether an event of this time comes too late for this rule."""
        return time < self.sighting.state.newest - self.rule.lateness

    @abstractmethod
    def observe(self, time: int) -> None:
        """An event of the service is about to be taken in, whether this rule counts it or not."""

    @abstractmethod
    def take(self, event: Event, item: Item) -> Outcome | None:
        """Take in an event that this rule counts; None: it only adds to those that qualifying ones are a share of."""

    def fall_silent(self) -> None:
        """Nothing came until the deadline on the log's clock."""

    def watermark(self, time: int) -> int:
        """The event time before which nothing comes any more once an event of `time` is taken in."""
        return max(self.sighting.state.newest, time) - self.rule.lateness


def clock_text(micros: int) -> str:
    """A time of whole seconds as `2023-01-29T08:42:00Z`, any other with its decimals."""
    return to_rfc3339(micros).replace(".000000Z", "Z")
