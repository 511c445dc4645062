"""Looks at a cluster's consumer groups for whoever asks, and keeps the last hour and the metrics up to date."""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

import msgspec
from aiokafka.errors import KafkaError

from runtime import metrics
from runtime.cancellation import is_asked_to_end
from runtime.kafka import admin_client, reader
from runtime.lag.ages import with_ages
from runtime.lag.history import LagHistory, Point, Trend
from runtime.lag.offsets import GroupState, Lag, committed_offsets, group_states, lags
from runtime.settings import Settings

FRESH_SECONDS: Final = 2.0
"""How long one look serves everybody who asks: many open pages are no more work than one."""
_PAUSE_SECONDS: Final = 10.0
_LONGEST_SECONDS: Final = 6.0
_SMALL_FETCH: Final = 16 * 1024
"""One record of each partition is looked at; a broker sends a whole batch where that is larger."""


class LagView(msgspec.Struct, frozen=True):
    """Consumer groups as they are. `unavailable` says why nothing is known."""

    rows: list[Lag] = []
    trends: list[Trend] = []
    """One for each row."""
    groups: list[GroupState] = []
    unavailable: str | None = None


class LagWatch:
    """Looks at most every two seconds; `run` looks every ten, so that there is a history."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._history = LagHistory()
        self._turn = asyncio.Lock()
        self._view = LagView()
        self._fresh_until = 0.0

    async def run(self) -> None:
        """Look now and then, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(_PAUSE_SECONDS)

    async def look(self) -> LagView:
        """How it is. Never fails: what cannot be told is named."""
        async with self._turn:
            if time.monotonic() >= self._fresh_until:
                self._view = await self._look()
                self._fresh_until = time.monotonic() + FRESH_SECONDS
            return self._view

    def curves(self) -> dict[tuple[str, str], list[Point]]:
        """The last hour by group and topic."""
        return self._history.curves()

    async def _look(self) -> LagView:
        try:
            async with asyncio.timeout(_LONGEST_SECONDS):
                rows, groups = await read_lags(self._settings)
        except (KafkaError, OSError, TimeoutError, asyncio.CancelledError) as error:
            if is_asked_to_end():
                raise
            _show([], known=False)
            where = self._settings.kafka_bootstrap_servers
            return LagView(
                unavailable=f"Kafka at {where} did not tell the offsets ({str(error) or type(error).__name__})"
            )
        self._history.take(time.time(), rows)
        _show(rows, known=True)
        return LagView(rows, [self._history.trend(row) for row in rows], groups)


async def read_lags(settings: Settings, group: str = "") -> tuple[list[Lag], list[GroupState]]:
    """How far each group (or only `group`) is behind, with ages, and the state of each.

    Raises:
        KafkaError: the cluster cannot be asked.
    """
    async with admin_client(settings, client_id="ops-lag") as client:
        committed = await committed_offsets(client, group)
        states = await group_states(client, committed)
    async with reader(settings, max_partition_fetch_bytes=_SMALL_FETCH) as consumer:
        return await with_ages(await lags(committed, consumer), consumer, time.time()), states


def _show(rows: Sequence[Lag], *, known: bool) -> None:
    """In the metrics; what is gone is not shown any more."""
    metrics.LAG_KNOWN.set(known)
    for gauge in (metrics.LAG_RECORDS, metrics.LAG_SECONDS, metrics.GROUP_OFFSET, metrics.END_OFFSET):
        gauge.clear()
    for row in rows:
        labels = (row.group, row.topic, str(row.partition))
        metrics.LAG_RECORDS.labels(*labels).set(row.lag)
        metrics.GROUP_OFFSET.labels(*labels).set(row.current)
        metrics.END_OFFSET.labels(row.topic, str(row.partition)).set(row.end)
        if row.seconds is not None:
            metrics.LAG_SECONDS.labels(*labels).set(row.seconds)
