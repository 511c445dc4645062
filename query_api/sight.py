"""Whether the pipeline sees: what the canary's incidents tell, without a clock, Kafka or SQL."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from runtime.lag.words import span_in_words
from schemas.canary import MISSED_BURSTS

SENT: Final = "ops_gateway_canary_sent_timestamp_seconds"
OPENED: Final = "ops_processor_canary_opened_timestamp_seconds"

Stage = Literal["gateway", "detection", "view"]

_SERVICES: Final[dict[Stage, tuple[str, ...]]] = {
    "gateway": ("api", "front_door", "ingest_gateway", "gateway"),
    "detection": ("stream_processor",),
    "view": ("materializer",),
}
_DONE: Final[dict[Stage, str]] = {
    "gateway": "no gateway has accepted the canary's events",
    "detection": "the gateway accepts the canary's events, and detection makes no incident of them",
    "view": "detection makes incidents of the canary's events, and the view does not show them",
}


class Latency(msgspec.Struct, frozen=True):
    """How long incidents took from the log's taking of the event that opened them until they could be seen, in seconds.

    All None where there was none.
    """

    incidents: int = 0
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


class Seen(msgspec.Struct, frozen=True):
    """What the view shows. Times are in seconds since the epoch.

    `partitions`: those of `ops.events` that it reads; `newest`: when the newest incident of each one's canary became
    visible; `incidents` and `canary`: the latencies of the last hour.
    """

    partitions: tuple[int, ...] = ()
    newest: dict[int, float] = {}
    incidents: Latency = Latency()
    canary: Latency = Latency()


class Process(msgspec.Struct, frozen=True):
    """What a process says of itself: its name, what it lacks, and its metrics as Prometheus' text."""

    service: str
    reasons: dict[str, str] = {}
    metrics: str = ""


class Blindness(msgspec.Struct, frozen=True):
    """Partitions whose canary's incidents do not come, how long the worst has been without one (seconds), and why.

    `stopped_at` and a reason beyond what is missing are there where the processes were asked.
    """

    partitions: tuple[int, ...]
    seconds: float
    stopped_at: Stage | None = None
    reason: str = ""


def ages(seen: Seen, since: float, now: float) -> dict[int, float]:
    """Seconds since the newest incident of each canary, or since somebody began to look at `since`.

    Where the view has read nothing yet, partition 0 stands for all: there is one at least.
    """
    return {number: max(0.0, now - max(since, seen.newest.get(number, 0.0))) for number in seen.partitions or (0,)}


def blindness(seen: Seen, since: float, interval: int, now: float) -> Blindness | None:
    """Which partitions are blind: `MISSED_BURSTS` incidents in a row, one every `interval` seconds, have not come."""
    late = {number: age for number, age in ages(seen, since, now).items() if age > MISSED_BURSTS * interval}
    if not late:
        return None
    which, seconds = tuple(sorted(late)), max(late.values())
    where = f"partition{'s' if len(which) > 1 else ''} {', '.join(map(str, which))}"
    reason = f"No incident of the canary has become visible for {span_in_words(seconds)} in {where}"
    return Blindness(which, round(seconds, 3), reason=reason)


def explained(blind: Blindness, processes: Sequence[Process], interval: int, now: float) -> Blindness:
    """With where in the chain it stopped, as far as the processes tell, and a sentence for people."""
    stage = _stage(blind, processes, now - MISSED_BURSTS * interval)
    lacks = [
        f"{process.service}: {text}"
        for process in processes
        if process.service in _SERVICES[stage]
        for text in process.reasons.values()
    ]
    reason = f"{blind.reason}: {'; '.join([_DONE[stage], *lacks])}"
    return msgspec.structs.replace(blind, stopped_at=stage, reason=reason)


def _stage(blind: Blindness, processes: Sequence[Process], oldest: float) -> Stage:
    """The first step of the chain that has done nothing since `oldest`."""
    if max(newest_by(processes, SENT).values(), default=0.0) < oldest:
        return "gateway"
    opened = newest_by(processes, OPENED)
    return "detection" if any(opened.get(str(n), 0.0) < oldest for n in blind.partitions) else "view"


def newest_by(processes: Iterable[Process], name: str) -> Mapping[str, float]:
    """The greatest value of a gauge over all processes, by partition ("" where it has no such label)."""
    found: dict[str, float] = {}
    for family in (family for process in processes for family in text_string_to_metric_families(process.metrics)):
        for sample in family.samples if family.name == name else ():
            partition = sample.labels.get("partition", "")
            found[partition] = max(found.get(partition, 0.0), sample.value)
    return found


def as_answer(seen: Seen, blind: Blindness | None, interval: int, unavailable: str | None) -> dict[str, Any]:
    """What `GET /api/v1/pipeline` says of it; `blind` is None there where nobody looks."""
    return {
        "blind": blind is not None if interval else None,
        "blind_partitions": list(blind.partitions) if blind else [],
        "stopped_at": blind.stopped_at if blind else None,
        "reason": blind.reason if blind else None,
        "canary_interval": interval,
        "incidents": msgspec.structs.asdict(seen.incidents),
        "canary": msgspec.structs.asdict(seen.canary),
        "unavailable": unavailable,
    }
