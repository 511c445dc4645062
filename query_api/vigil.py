"""Keeps watch: reads when the canary's incidents became visible, and raises the alarm when they do not."""

import asyncio
import time
from typing import Final, Protocol

import structlog
from sqlalchemy import text

from query_api.database import DRIVER_ERRORS, Database, DatabaseAway
from query_api.pause import pause
from query_api.sight import Blindness, Latency, Seen, ages, blindness
from runtime import metrics
from schemas.topics import EVENTS

log = structlog.get_logger(__name__)

_PAUSE_SECONDS: Final = 5.0
_RECENT: Final = "1 hour"

_PARTITIONS: Final = text("SELECT partition FROM consumer_offsets WHERE topic = :topic ORDER BY partition")
_NEWEST: Final = text(f"""
    SELECT partition, extract(epoch FROM max(visible_at))::float8 AS at FROM incident_visibility
    WHERE canary AND visible_at > now() - interval '{_RECENT}' GROUP BY partition
""")  # noqa: S608 - a constant
_LATENCIES: Final = text(f"""
    SELECT canary, count(*) AS incidents, percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (
        ORDER BY GREATEST(0, extract(epoch FROM visible_at - opened_at))::float8) AS quantiles
    FROM incident_visibility WHERE canary IN (true, false) AND visible_at > now() - interval '{_RECENT}' GROUP BY canary
""")  # noqa: S608 - a constant


class Sightings(Protocol):
    """What the view shows of the canary."""

    async def read(self) -> Seen:
        """Read it.

        Raises:
            DatabaseAway, or what the drivers raise: where the view is away.
        """


class ViewSightings:
    """Reads it from PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self) -> Seen:
        """See `Sightings`."""
        async with self._database.session() as session:
            connection = await session.connection()
            partitions = (await connection.execute(_PARTITIONS, {"topic": EVENTS})).scalars().all()
            newest = {row.partition: row.at for row in await connection.execute(_NEWEST)}
            latencies = {
                row.canary: Latency(row.incidents, *(round(seconds, 4) for seconds in row.quantiles))
                for row in await connection.execute(_LATENCIES)
            }
        return Seen(tuple(partitions), newest, latencies.get(False, Latency()), latencies.get(True, Latency()))


class Vigil:
    """Looks every few seconds for as long as it runs. `interval`: CANARY_INTERVAL; 0: nobody is ever blind.

    What was seen last holds until it can be read again: a view that is away shows no incident, and time goes on.
    """

    def __init__(self, sightings: Sightings, interval: int) -> None:
        self._sightings = sightings
        self.interval = interval
        self._since = time.time()
        self.seen = Seen()
        self.unavailable: str | None = None
        self.blind: Blindness | None = None
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Look now and then, until `stop`: drivers can swallow a cancellation (Python 3.11's wait_for)."""
        while not self._stopping.is_set():
            await self.look()
            await pause(self._stopping, _PAUSE_SECONDS)

    def stop(self) -> None:
        """Look no more."""
        self._stopping.set()

    async def look(self) -> Blindness | None:
        """Look now; gives what cannot be seen. Never fails."""
        try:
            self.seen, self.unavailable = await self._sightings.read(), None
        except (DatabaseAway, *DRIVER_ERRORS) as error:
            self.unavailable = str(error) or type(error).__name__
        return self._judge(time.time())

    def _judge(self, now: float) -> Blindness | None:
        if not self.interval:
            return None
        was_blind = self.blind
        self.blind = blind = blindness(self.seen, self._since, self.interval, now)
        metrics.BLIND.set(blind is not None)
        metrics.CANARY_AGE.set(max(ages(self.seen, self._since, now).values()))
        if blind and not was_blind:
            log.error("blind", partitions=blind.partitions, seconds=blind.seconds, view=self.unavailable)
        elif was_blind and not blind:
            log.info("sees_again")
        return blind
