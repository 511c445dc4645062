"""Reads what evidence is made from. Whatever cannot be read in time is missing, and no analysis waits for it longer."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any, Final, TypeVar

import structlog
from aiokafka.errors import KafkaError

from analyzer_worker.evidence.draw import Draw, windows
from analyzer_worker.evidence.material import Material
from analyzer_worker.evidence.surroundings import MAX_TEXTS, Surroundings, ViewReader
from analyzer_worker.log_reader import LogReader
from analyzer_worker.samples import events_at
from analyzer_worker.verdict import Sample
from runtime.metrics import EVIDENCE_MISSING
from runtime.settings import Settings
from schemas.codec import decode_incident_events
from schemas.incident import Incident
from schemas.timestamps import MICROSECONDS
from schemas.topics import INCIDENT_EVENTS

log = structlog.get_logger(__name__)

MAX_DRAWN: Final = 200
"""Events read of one incident: up to so many all of them, above that an even draw."""
MAX_SCANNED: Final = 20_000
"""Records of ops.incident-events looked through for one incident; of more, even stretches."""
STRETCHES: Final = 20
GATHER_SECONDS: Final = 6.0
READ_SECONDS: Final = 3.0
"""Of these, for the drawn events; what was not read by then is missing."""
_MARGIN_MS: Final = 60_000
"""How far before the opening the links of an incident are looked for: clocks differ."""
_TROUBLE: Final = (KafkaError, OSError, TimeoutError)

Found = TypeVar("Found")


class Gatherer:
    """Reads from the log and from the query API; connects when first needed, and anew after trouble."""

    def __init__(self, settings: Settings, view: ViewReader | None = None) -> None:
        """`view`: default, the query API of the settings."""
        self._settings = settings
        self._view = view or ViewReader(settings)
        self._reader: LogReader | None = None
        self._one_at_a_time = asyncio.Lock()

    async def gather(self, incident: Incident, samples: Sequence[Sample]) -> Material:
        """What can be read of an incident and of what surrounds it."""
        (drawn, draw), neighbours = await asyncio.gather(
            _within(self._drawn(incident, samples), (None, None), "events"), self._view.neighbours(incident)
        )
        past = await self._view.past(incident, typical(samples if drawn is None else drawn))
        for part, value in (("neighbours", neighbours), ("past", past)):
            if value is None:
                EVIDENCE_MISSING.labels(part).inc()
        every = draw is not None and draw.seen == incident.event_count
        per_minute = draw.per_minute if draw and every else None
        return Material(incident, samples, drawn, per_minute, Surroundings(neighbours, past))

    async def close(self) -> None:
        """Give every connection back."""
        await self._view.close()
        await self._disconnect()

    async def _drawn(self, incident: Incident, samples: Sequence[Sample]) -> tuple[list[Sample] | None, Draw | None]:
        if len(samples) >= incident.event_count:
            return None, None
        async with self._one_at_a_time:
            try:
                reader = await self._connected()
                draw = await _scan(reader, incident)
                found = await events_at(reader, {incident.partition: draw.positions()}, READ_SECONDS)
            except BaseException:
                await self._disconnect()
                raise
        return found[incident.partition] or None, draw

    async def _connected(self) -> LogReader:
        if self._reader is None:
            self._reader = LogReader(self._settings)
            await self._reader.start()
        return self._reader

    async def _disconnect(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            await reader.stop()


async def _scan(reader: LogReader, incident: Incident) -> Draw:
    """Draw from the links of an incident, which begin about when it opened."""
    draw = Draw(MAX_DRAWN)
    partition, wanted = incident.partition, incident.key.encode()
    opened = incident.created_at * 1_000 // MICROSECONDS - _MARGIN_MS
    start, end = await reader.range_since(INCIDENT_EVENTS, partition, max(0, opened))
    for window in windows(start, end, MAX_SCANNED, STRETCHES):
        async for record in reader.between(INCIDENT_EVENTS, partition, window):
            if record.key == wanted and record.value is not None:
                draw.add(decode_incident_events(record.value).events)
    return draw


async def _within(reading: Awaitable[Found], missing: Found, part: str) -> Found:
    try:
        async with asyncio.timeout(GATHER_SECONDS):
            return await reading
    except _TROUBLE as error:
        log.info("evidence_missing", part=part, why=type(error).__name__)
        EVIDENCE_MISSING.labels(part).inc()
        return missing


def typical(samples: Sequence[Sample]) -> list[str]:
    """The messages with which similar incidents are looked for: distinct ones, in their order."""
    texts: dict[str, Any] = dict.fromkeys(sample.text[:500] for sample in samples)
    return list(texts)[:MAX_TEXTS]
