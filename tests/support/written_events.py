"""The events in the log, as any consumer reads them."""

from runtime.kafka import reader
from runtime.settings import Settings
from schemas.codec import Place, decode_events
from schemas.event import Event
from schemas.topics import EVENTS


async def events_of(settings: Settings, service: str, count: int) -> list[Event]:
    """The events of a service, once there are `count` of them."""
    found: list[Event] = []
    async with reader(settings, EVENTS) as consumer:
        while len(found) < count:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                for record in records:
                    place = Place(EVENTS, record.partition, record.offset, record.timestamp * 1_000)
                    events = [event for _, event in decode_events(record.value, place)]
                    found += [event for event in events if isinstance(event, Event) and event.service == service]
    return found
