"""Spans of the view: one for each batch that is committed, and one for each incident and analysis that it shows."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Final

import structlog

from query_api.materializer.batch import Source
from query_api.materializer.rows import Record
from runtime import tracing
from runtime.trace_context import context_of, under
from schemas.topics import EVENTS, INCIDENT_EVENTS

log = structlog.get_logger(__name__)

SERVICE: Final = "query_api"
"""The scope of the spans of the API and its materializer."""

_GROUP: Final = "ops-materializer"
_UNTOLD: Final = frozenset({EVENTS, INCIDENT_EVENTS})
"""Topics of which single records are neither traced nor logged: there are too many."""


@contextmanager
def committing(fetched: Mapping[Source, Sequence[Record]]) -> Iterator[None]:
    """Spans over the transaction of a batch; none where no record of it is of a sampled trace."""
    traced = [record for records in fetched.values() for record in records if record.headers]
    if traced and tracing.is_on():
        with _spans(traced):
            yield
    else:
        yield
    if traced and logging.getLogger(__name__).isEnabledFor(logging.DEBUG):
        _tell(traced)


@contextmanager
def _spans(traced: Sequence[Record]) -> Iterator[None]:
    contexts = {id(record): context_of(record.headers) for record in traced}
    senders = tracing.distinct(contexts.values())
    if not senders:
        yield
        return
    attributes: dict[str, tracing.Value] = {
        "db.system.name": "postgresql",
        "messaging.batch.message_count": len(traced),
    }
    with (
        tracing.span(SERVICE, "commit view", parent=None, links=senders, attributes=attributes) as commit,
        ExitStack() as shown,
    ):
        links = [commit.context] if commit.context else []
        told = [record for record in traced if record.topic not in _UNTOLD]
        for record in told[-tracing.MOST_LINKS :]:
            context = contexts[id(record)]
            if context is not None and context.is_sampled:
                place = tracing.of_record(
                    record.topic, record.partition, record.offset, operation="process", group=_GROUP
                )
                shown.enter_context(
                    tracing.span(
                        SERVICE, f"process {record.topic}", "consumer", parent=context, links=links, attributes=place
                    )
                )
        yield


def _tell(traced: Iterable[Record]) -> None:
    for record in traced:
        if record.topic not in _UNTOLD:
            with under(context_of(record.headers)):
                log.debug("record_committed", topic=record.topic, partition=record.partition, offset=record.offset)
