"""What no incident told of: recorded in Kafka by people, as labels for backtests."""

from typing import Any, Final

from ops_assist.errors import CommandError
from ops_assist.kafka_access import admin, consumer, partitions_of, producer
from runtime.settings import Settings
from schemas.codec import encode
from schemas.event import MAX_SERVICE
from schemas.identity import uuid7
from schemas.timestamps import MICROSECONDS, from_rfc3339, now_micros, to_rfc3339
from schemas.topics import MISSED_INCIDENTS
from schemas.verdict import MissedIncident
from stream_processor.backtest.live import read_missed

_LASTING: Final = 300 * MICROSECONDS


def missed_incident(service: str, at: str, until: str, actor: str, note: str) -> MissedIncident:
    """A record of what people say; times are RFC 3339, `until` may be empty.

    Raises:
        CommandError: it is no service, or no span of time.
    """
    name = service.strip()
    if not 1 <= len(name) <= MAX_SERVICE or not at:
        raise CommandError("give --service NAME and --at TIME, as 2026-11-20T09:15:00Z")
    try:
        start = from_rfc3339(at)
        end = from_rfc3339(until) if until else start + _LASTING
    except ValueError as error:
        raise CommandError(f"{error}; a time is written as 2026-11-20T09:15:00Z") from error
    if end < start:
        raise CommandError("--until lies before --at")
    return MissedIncident(uuid7(), name, start, end, actor, now_micros(), note or None)


async def record(settings: Settings, one: MissedIncident) -> None:
    """Write it; returns once all in-sync replicas have it."""
    async with producer(settings) as client:
        await client.send_and_wait(MISSED_INCIDENTS, encode(one), one.id.encode())


async def forget(settings: Settings, key: str) -> None:
    """Take one back.

    Raises:
        CommandError: there is none of this id.
    """
    if all(one.id != key for one in await recorded(settings)):
        raise CommandError(f"there is no record {key}; `ops-assist incidents missed` lists them")
    async with producer(settings) as client:
        await client.send_and_wait(MISSED_INCIDENTS, None, key.encode())


async def recorded(settings: Settings) -> list[MissedIncident]:
    """What was recorded and not taken back, in order of time."""
    async with admin(settings) as client:
        numbers = [place.partition for place in await partitions_of(client, MISSED_INCIDENTS)]
    async with consumer(settings) as reader:
        return await read_missed(reader, numbers)


def fields(one: MissedIncident) -> dict[str, Any]:
    """The record for people and programs."""
    return {
        "id": one.id,
        "service": one.service,
        "start": to_rfc3339(one.start),
        "end": to_rfc3339(one.end),
        "actor": one.actor,
        "at": to_rfc3339(one.at),
        "note": one.note,
    }
