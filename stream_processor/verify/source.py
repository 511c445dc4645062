"""Where the evidence comes from: the query API knows the incident's number, Kafka all the rest."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

import httpx
import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from runtime.kafka import admin_client, reader
from runtime.settings import Settings
from schemas.codec import decode_incident_events
from schemas.incident import Incident, IncidentEvents
from schemas.placement import home_partition
from schemas.timestamps import MICROSECONDS
from schemas.topics import EVENTS, INCIDENT_EVENTS
from stream_processor.backtest.inputs import in_order, inputs_of
from stream_processor.backtest.live import read_incidents
from stream_processor.backtest.topic_range import Bound, Range, find_ranges, read_range
from stream_processor.rules import RuleSet
from stream_processor.verify.check import Derivation, Verdict
from stream_processor.verify.evidence import Evidence, places_of, since

MOST_RECORDS: Final = 2_000_000
"""Offsets that are read for one answer."""
_BEFORE: Final = 60 * MICROSECONDS
"""So long before an incident was opened nothing can have been told of its events: clocks of brokers differ."""


class UnknownIncident(Exception):  # noqa: N818 - reads as what it is
    """There is no incident of this number."""


class SourceAway(Exception):  # noqa: N818 - the same
    """The query API or Kafka gives no answer that can be used; the text says why."""


class TooLong(Exception):  # noqa: N818 - the same
    """More would have to be read than one answer may cost; the text says what to do."""


class Verified(NamedTuple):
    """A verdict, and the records that it rests on: from `start` up to, but not with, `end`."""

    incident: Incident
    verdict: Verdict
    start: int
    end: int


class Named(msgspec.Struct):
    """An incident as it is looked for."""

    key: str
    service: str


async def named(client: httpx.AsyncClient, number: int) -> Named:
    """The incident of this number.

    Raises:
        UnknownIncident: there is none.
        SourceAway: the query API cannot tell.
    """
    try:
        answer = await client.get(f"/api/v1/incidents/{number}")
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise UnknownIncident(f"There is no incident {number}")
        answer.raise_for_status()
        return msgspec.json.decode(answer.content, type=Named)
    except (httpx.HTTPError, msgspec.MsgspecError) as error:
        raise SourceAway(f"the query API: {str(error) or type(error).__name__}") from error


async def verify(settings: Settings, wanted: Named, rules: RuleSet) -> Verified:
    """Derive an incident again.

    Raises:
        UnknownIncident: Kafka does not know it.
        SourceAway: Kafka cannot be read.
        TooLong: the range is too large.
    """
    async with _kafka(settings) as consumer:
        partitions = await _partitions(settings)
        incidents = await read_incidents(consumer, [home_partition(wanted.service, partitions)])
        incident = next((one for one in incidents if one.key == wanted.key), None)
        if incident is None:
            raise UnknownIncident(f"ops.incidents has no incident {wanted.key}")
        same = [one for one in incidents if one.service == incident.service]
        told, are_all_told = await _told(consumer, incident)
        places = places_of(incident, same, told)
        inputs = in_order(entry for one in same for entry in inputs_of(one.key, one.service, one.timeline))
        moment = since(incident, same, rules)
        found = await _range(consumer, incident, max((offset for offset, _ in places), default=-1), moment)
        # Of kinds that wait, not every event of a window is named.
        is_short = moment is not None and len(places) < incident.event_count
        if found is None or (is_short and not are_all_told):
            return Verified(incident, Verdict("expired"), 0, 0)
        if found.size > MOST_RECORDS:
            raise TooLong(f"{found.size:,} records would have to be read; run `ops-assist backtest --certificate`")
        derivation = Derivation(Evidence(incident, places, inputs), rules, partitions)
        async for records in read_range(consumer, EVENTS, found):
            derivation.take(records)
        return Verified(incident, derivation.verdict(), found.start, found.end)


@asynccontextmanager
async def _kafka(settings: Settings) -> AsyncIterator[AIOKafkaConsumer]:
    try:
        async with reader(settings) as consumer:
            yield consumer
    except KafkaError as error:
        raise SourceAway(f"Kafka: {type(error).__name__}: {error}") from error


async def _partitions(settings: Settings) -> int:
    """How many partitions `ops.events` has."""
    async with admin_client(settings) as admin:
        [described] = await admin.describe_topics([EVENTS])
        return len(described["partitions"])


async def _told(consumer: AIOKafkaConsumer, incident: Incident) -> tuple[list[IncidentEvents], bool]:
    """What was told of events of the incident's service since it was opened, and whether all of it is still there."""
    opened = Bound(moment=max(0, incident.created_at - _BEFORE))
    [wanted] = await find_ranges(consumer, INCIDENT_EVENTS, [incident.partition], opened, None)
    told = []
    async for records in read_range(consumer, INCIDENT_EVENTS, wanted):
        decoded = (decode_incident_events(record.value) for record in records if record.value)
        told += [one for one in decoded if one.service == incident.service]
    return told, wanted.begin == 0 or wanted.start > wanted.begin


async def _range(consumer: AIOKafkaConsumer, incident: Incident, last: int, moment: int | None) -> Range | None:
    """The records that had a part in an incident whose last one is at `last`; None: some of them are gone."""
    bound = None if moment is None else Bound(moment=max(0, moment))
    [wanted] = await find_ranges(consumer, EVENTS, [incident.partition], bound, Bound(offset=last + 1))
    if min((place.offset for place in incident.samples), default=0) < wanted.begin:
        return None
    if wanted.start == wanted.begin > 0 and not await _is_older(consumer, wanted, moment):
        return None
    return wanted


async def _is_older(consumer: AIOKafkaConsumer, wanted: Range, moment: int | None) -> bool:
    """Whether the first record that is left is from before `moment`, so that all from it on are there."""
    place = TopicPartition(EVENTS, wanted.partition)
    consumer.assign([place])
    consumer.seek(place, wanted.begin)
    first = await consumer.getone(place)
    return moment is not None and first.timestamp * 1_000 < moment
