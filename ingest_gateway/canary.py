"""The gateway's canary: sends what makes an incident to its own gateway over HTTP, as any producer does.

It sends for each partition of `ops.events` a sign of life every few seconds and, every CANARY_INTERVAL, events that
cross the threshold of the canary's rule. Several gateways make several incidents, which does no harm.
"""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from secrets import token_hex
from time import monotonic
from typing import Any, Final

import httpx
import structlog

from ingest_gateway.event_log import EventLog
from ingest_gateway.headers import CANARY_HEADER
from runtime.local_address import local_url
from runtime.metrics import CANARY_SENDS, CANARY_SENT
from runtime.settings import Settings
from schemas.canary import BURST_EVENTS, BURST_LEVEL, PULSE_SECONDS, canaries

log = structlog.get_logger(__name__)

_BATCH: Final = "/api/v1/events/batch"
_PULSE: Final = {"level": "INFO", "message": "the canary is alive"}
_BURST: Final = {"level": BURST_LEVEL, "message": "the canary makes an incident, to see whether it becomes visible"}
# A new connection each time: it is part of the way that is tried.
_LIMITS: Final = httpx.Limits(max_keepalive_connections=0)
_AT_ONCE: Final = 500
"""Canaries of one request, which is far from being too large."""
_MORE_SECONDS: Final = 2.0
"""What an answer may take beyond PUBLISH_TIMEOUT."""


class Canary:
    """Sends while the gateway runs, unless CANARY_INTERVAL is 0. `token`: the word that the gateway knows it by."""

    def __init__(self, settings: Settings, event_log: EventLog) -> None:
        self.token = token_hex(16).encode()
        self._interval = settings.canary_interval
        self._log = event_log
        self._url = local_url(settings.host, settings.http_port)
        self._timeout = settings.publish_timeout + _MORE_SECONDS
        self._next_burst = 0.0
        self._fault: str | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()

    @property
    def is_on(self) -> bool:
        """Whether it sends."""
        return self._task is not None

    def start(self) -> None:
        """Begin to send."""
        if self._interval:
            self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Send no more."""
        if self._task is not None:
            self._stopping.set()
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        async with httpx.AsyncClient(
            base_url=self._url, timeout=self._timeout, limits=_LIMITS, trust_env=False
        ) as http:
            # A flag too: what is asked for the fault may swallow a cancellation (Python 3.11's wait_for).
            while not self._stopping.is_set():
                self._tell(await self.send(http))
                with suppress(TimeoutError):
                    async with asyncio.timeout(PULSE_SECONDS):
                        await self._stopping.wait()

    async def send(self, http: httpx.AsyncClient) -> str | None:
        """Send once what is due; gives what went wrong, if anything. What makes an incident stays due until it went."""
        partitions = self._log.partition_count
        if partitions is None:
            return await self._log.check() or "the partitions of ops.events are not known yet"
        is_burst = monotonic() >= self._next_burst
        for events in events_for(partitions, burst=is_burst):
            if fault := await self._post(http, events):
                return fault
        if is_burst:
            self._next_burst = monotonic() + self._interval
            CANARY_SENT.set_to_current_time()
        return None

    async def _post(self, http: httpx.AsyncClient, events: list[dict[str, Any]]) -> str | None:
        try:
            answer = await http.post(_BATCH, json=events, headers={CANARY_HEADER.decode(): self.token.decode()})
        except httpx.HTTPError as error:
            return f"no answer ({str(error) or type(error).__name__})"
        return None if answer.is_success else f"it answered {answer.status_code}: {answer.text[:300]}"

    def _tell(self, fault: str | None) -> None:
        """Count it, and log the beginning and the end of a fault."""
        CANARY_SENDS.labels("refused" if fault else "accepted").inc()
        if fault and not self._fault:
            log.warning("canary_refused", reason=fault)
        elif self._fault and not fault:
            log.info("canary_accepted_again")
        self._fault = fault


def events_for(partitions: int, *, burst: bool) -> Iterator[list[dict[str, Any]]]:
    """A sign of life of each canary, or what makes an incident of each, in as many requests as it takes."""
    events = [_BURST] * BURST_EVENTS if burst else [_PULSE]
    services = canaries(partitions)
    for start in range(0, partitions, _AT_ONCE):
        yield [{"service": service, **event} for service in services[start : start + _AT_ONCE] for event in events]
