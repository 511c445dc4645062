"""The topics: their names, what is in them and how long it is kept (CONTRACT 7)."""

from typing import Final

import msgspec

EVENTS: Final = "ops.events"
EVENTS_DLQ: Final = "ops.events.dlq"
EVENTS_LATE: Final = "ops.events.late"
INCIDENTS: Final = "ops.incidents"
INCIDENT_EVENTS: Final = "ops.incident-events"
ANALYSES: Final = "ops.analyses"
ANALYSIS_REQUESTS: Final = "ops.analysis-requests"
CORRECTIONS: Final = "ops.analysis-corrections"
MISSED_INCIDENTS: Final = "ops.missed-incidents"
INCIDENT_STATUS: Final = "ops.incident-status"
DLQ_DECISIONS: Final = "ops.dlq-decisions"
CANARY: Final = "ops.canary"
DETECTION_CHANGELOG: Final = "ops.detection-state-changelog"

MAX_RECORD_BYTES: Final = 2 * 1024 * 1024
"""The largest record that the topics of events take; producers of the pipeline stay under it."""

MAX_EVENT_BYTES: Final = MAX_RECORD_BYTES - 16 * 1024
"""The largest event, as JSON: the rest is room for the record's key and the batch around it."""

PACK_BYTES: Final = 512 * 1024
"""How large a record of several events may get: large enough to be cheap, small enough to be fetched with others."""

_DAY_MS: Final = 24 * 60 * 60 * 1000


class Header:
    """Names of record headers."""

    REASON: Final = "ops-reason"
    DETAIL: Final = "ops-detail"
    TOPIC: Final = "ops-original-topic"
    PARTITION: Final = "ops-original-partition"
    OFFSET: Final = "ops-original-offset"
    INDEX: Final = "ops-original-index"
    TIMESTAMP: Final = "ops-original-timestamp"
    RETRIES: Final = "ops-retries"


class TopicSpec(msgspec.Struct, frozen=True):
    """What one topic must be like. `co_partitioned`: it has as many partitions as `ops.events`."""

    name: str
    config: dict[str, str]
    co_partitioned: bool = True


def _kept(days: int, **more: str) -> dict[str, str]:
    return {"cleanup.policy": "delete", "retention.ms": str(days * _DAY_MS)} | more


_COMPACTED: Final = {"cleanup.policy": "compact"}
_LARGE: Final = {"max.message.bytes": str(MAX_RECORD_BYTES)}
# What ops.events takes must fit with the headers that say why it is here.
_LARGER: Final = {"max.message.bytes": str(2 * MAX_RECORD_BYTES)}

TOPICS: Final[tuple[TopicSpec, ...]] = (
    # The broker's clock stamps events, so that the time of receipt is the same in every replay.
    TopicSpec(EVENTS, _kept(7) | _LARGE | {"message.timestamp.type": "LogAppendTime"}),
    TopicSpec(EVENTS_DLQ, _kept(30) | _LARGER),
    TopicSpec(EVENTS_LATE, _kept(30) | _LARGER),
    TopicSpec(INCIDENTS, _COMPACTED | _LARGE),
    TopicSpec(INCIDENT_EVENTS, _kept(7)),
    TopicSpec(CANARY, _kept(1)),
    TopicSpec(ANALYSES, _COMPACTED),
    TopicSpec(ANALYSIS_REQUESTS, _kept(1)),
    # Each under a key of its own: the history of corrections is never compacted away.
    TopicSpec(CORRECTIONS, _COMPACTED),
    TopicSpec(MISSED_INCIDENTS, _COMPACTED, co_partitioned=False),
    TopicSpec(
        INCIDENT_STATUS,
        # Keyed by service: a change of one incident must outlive a later change of another until it was read.
        {
            "cleanup.policy": "compact,delete",
            "retention.ms": str(30 * _DAY_MS),
            "min.compaction.lag.ms": str(7 * _DAY_MS),
        },
    ),
    # A decision is never older than its letter, so it outlives it under the same retention.
    TopicSpec(DLQ_DECISIONS, _kept(30) | {"cleanup.policy": "compact,delete"}, co_partitioned=False),
    TopicSpec(DETECTION_CHANGELOG, _COMPACTED | _LARGE),
)
