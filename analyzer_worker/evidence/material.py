"""What evidence is made from, as it was read: nothing in it is fit to leave yet."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec

from analyzer_worker.evidence.surroundings import Surroundings
from analyzer_worker.verdict import Sample
from schemas.incident import Incident


class Material(msgspec.Struct, frozen=True):
    """An incident, those of its events that were read, and what is known around it."""

    incident: Incident
    samples: Sequence[Sample]
    """Its first events, as the record names them; all of them where `drawn` is None."""
    drawn: Sequence[Sample] | None = None
    """An even draw over all of its events, the first ones included."""
    per_minute: Mapping[int, int] | None = None
    """Its events by minutes since the epoch, where every one of them was counted."""
    surroundings: Surroundings = Surroundings()

    @property
    def counted(self) -> Sequence[Sample]:
        """The events that speak for all: those drawn, else the first ones."""
        return self.samples if self.drawn is None else self.drawn

    @property
    def events(self) -> list[Sample]:
        """All events that were read, each once, in the order of event time."""
        once = {sample.event_id: sample for sample in (*self.samples, *self.counted)}
        return sorted(once.values(), key=lambda sample: (sample.timestamp, sample.event_id))


Gather = Callable[[Incident, Sequence[Sample]], Awaitable[Material]]


async def samples_only(incident: Incident, samples: Sequence[Sample]) -> Material:
    """What there is without reading anything further."""
    return Material(incident, samples)
