"""What a backtest finds: plain data that can be sent between processes and put together."""

from collections import Counter
from collections.abc import Iterable

import msgspec

from schemas.lifecycle import Status
from schemas.timestamps import MICROSECONDS
from stream_processor.ledger import Reason
from stream_processor.near_misses import NearMiss
from stream_processor.span import Span


class Found(msgspec.Struct, frozen=True):
    """An incident. Times are event times in microseconds since the epoch.

    `detected_at`: when the record that opened it was appended to the log; from a file, the newest event time then.
    """

    key: str
    service: str
    rule: str
    status: Status
    event_count: int
    first_event_at: int
    last_event_at: int
    detected_at: int
    lateness: int
    reason: str
    previous_key: str | None = None

    @property
    def time_to_detect(self) -> float:
        """Seconds from its first event to its opening."""
        return max(0, self.detected_at - self.first_event_at) / MICROSECONDS


class Findings(msgspec.Struct):
    """What one set of rules has led to. `ledger`: how events ended, by reason."""

    incidents: list[Found] = []
    near_misses: list[NearMiss] = []
    ledger: dict[Reason, int] = {}


def found(service: str, rule: str, span: Span) -> Found:
    """The incident as it stands."""
    return Found(
        span.key,
        service,
        rule,
        span.status,
        span.count,
        span.head[0].time,
        span.last,
        span.created_at,
        span.lateness,
        span.reason,
        span.previous_key,
    )


def joined(parts: Iterable[Findings]) -> Findings:
    """The findings of parts of a log, of which no service is in two; in an order that does not depend on the parts."""
    incidents: list[Found] = []
    near_misses: list[NearMiss] = []
    ledger: Counter[Reason] = Counter()
    for part in parts:
        incidents += part.incidents
        near_misses += part.near_misses
        ledger.update(part.ledger)
    incidents.sort(key=lambda one: (one.first_event_at, one.service, one.rule, one.key))
    near_misses.sort(key=lambda miss: (miss.first, miss.service, miss.rule))
    return Findings(incidents, near_misses, {reason: count for reason, count in sorted(ledger.items()) if count})
