"""Events, their links and the record of their incident on a broker, as gateway and processor would write them."""

import time
from collections.abc import Sequence

import msgspec
from aiokafka import AIOKafkaProducer

from schemas.codec import encode, encode_events
from schemas.event import Event
from schemas.identity import uuid7
from schemas.incident import AttachedEvent, EventPosition, Incident, IncidentEvents
from schemas.topics import EVENTS, INCIDENT_EVENTS, INCIDENTS

MAX_SAMPLES = 20
EVENTS_EACH = 500


async def write_incident(producer: AIOKafkaProducer, partition: int, events: Sequence[Event]) -> Incident:
    """An incident of these events, which are of one service and in the order of time."""
    service, now = events[0].service, time.time_ns() // 1_000
    key = f"key-{uuid7()}"
    attached: list[AttachedEvent] = []
    for start in range(0, len(events), EVENTS_EACH):
        pack = events[start : start + EVENTS_EACH]
        value = encode_events(pack)
        sent = await producer.send_and_wait(EVENTS, value, key=service.encode(), partition=partition)
        links = [AttachedEvent(sent.offset, index, event.timestamp) for index, event in enumerate(pack)]
        record = IncidentEvents(key, service, partition, links)
        await producer.send_and_wait(INCIDENT_EVENTS, encode(record), key=key.encode(), partition=partition)
        attached += links
    samples = [EventPosition(item.offset, item.index) for item in attached[:MAX_SAMPLES]]
    incident = Incident(
        key, 1, service, "error-burst", "open", len(events), events[0].timestamp, events[-1].timestamp, now, now,
        5, 300_000_000, "burst", partition, samples, [],
    )  # fmt: skip
    await write_version(producer, incident)
    return incident


async def write_version(producer: AIOKafkaProducer, incident: Incident, **changes: object) -> Incident:
    """A further record of an incident."""
    changed: Incident = msgspec.structs.replace(incident, **changes)
    value, key = encode(changed), changed.key.encode()
    await producer.send_and_wait(INCIDENTS, value, key=key, partition=changed.partition)
    return changed
