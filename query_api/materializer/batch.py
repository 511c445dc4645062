"""A batch: the records of one poll as rows, and the offsets that they lead to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import structlog

from query_api.materializer.rows import (
    EventColumns,
    LinkColumns,
    OpeningColumns,
    Record,
    analysis_row,
    canary_opening,
    correction_row,
    event_rows,
    first_arrivals,
    incident_row,
    link_rows,
    newest,
)
from runtime.logging import about
from runtime.metrics import RECORDS_UNREADABLE
from runtime.trace_context import context_of, under
from schemas.codec import UnreadableRecord
from schemas.topics import ANALYSES, CANARY, CORRECTIONS, EVENTS, INCIDENT_EVENTS, INCIDENTS

log = structlog.get_logger(__name__)

TOPICS = (EVENTS, INCIDENT_EVENTS, INCIDENTS, ANALYSES, CORRECTIONS, CANARY)


class Source(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int


@dataclass
class Batch:
    """What one transaction writes; `expected` are the offsets it starts from, `reached` those it leads to."""

    expected: dict[Source, int] = field(default_factory=dict)
    reached: dict[Source, int] = field(default_factory=dict)
    events: list[EventColumns] = field(default_factory=list)
    links: list[LinkColumns] = field(default_factory=list)
    incidents: list[dict[str, Any]] = field(default_factory=list)
    analyses: list[dict[str, Any]] = field(default_factory=list)
    corrections: list[dict[str, Any]] = field(default_factory=list)
    canaries: list[OpeningColumns] = field(default_factory=list)
    records: dict[str, int] = field(default_factory=dict)


def make_batch(fetched: Mapping[Source, Sequence[Record]], positions: Mapping[Source, int], partitions: int) -> Batch:
    """Decode what was fetched.

    Records below a position were applied before and are left out, those of a source without one belong to somebody
    else by now. Unreadable records are counted and passed over.

    Args:
        fetched: the records, in order of offset.
        positions: how far the view has read each source that this process owns.
        partitions: how many partitions `ops.events` has.
    """
    batch = Batch()
    for source, records in fetched.items():
        position = positions.get(source)
        new = [record for record in records if position is not None and record.offset >= position]
        if position is None or not new:
            continue
        batch.expected[source] = position
        batch.reached[source] = new[-1].offset + 1
        batch.records[source.topic] = batch.records.get(source.topic, 0) + len(new)
        for record in new:
            _add(batch, record, partitions)
    batch.events = first_arrivals(batch.events)
    batch.incidents = newest(batch.incidents, "key", "version")
    batch.analyses = newest(batch.analyses, "incident_key", "revision")
    return batch


def _add(batch: Batch, record: Record, partitions: int) -> None:
    try:
        if record.topic == EVENTS:
            batch.events += event_rows(record, partitions)
        elif record.topic == INCIDENT_EVENTS:
            batch.links += link_rows(record)
        elif record.topic == INCIDENTS:
            batch.incidents.append(incident_row(record))
        elif record.topic == ANALYSES:
            batch.analyses.append(analysis_row(record))
        elif record.topic == CANARY:
            batch.canaries.append(canary_opening(record))
        else:
            batch.corrections.append(correction_row(record))
    except UnreadableRecord as error:
        RECORDS_UNREADABLE.labels(record.topic).inc()
        with about(record.topic, record.partition, record.offset), under(context_of(record.headers)):
            log.warning("record_unreadable", why=str(error))
