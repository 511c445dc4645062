"""The pipeline as its operators see it: who is ready, how far consumers are behind, what became of the events."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final

import httpx
import msgspec
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from prometheus_client.parser import text_string_to_metric_families

from query_api.views import moment
from runtime.kafka import connection_options, make_consumer
from runtime.lag import Lag, committed_offsets, lags
from runtime.settings import Settings

LEDGER: Final = "ops_processor_events_total"
DEAD_LETTERS: Final = "ops_processor_dead_lettered_total"

_FRESH_SECONDS: Final = 2.0
"""How long one look serves everybody who asks: many open pages are no more work than one."""

_SERVICE_TIMEOUT: Final = httpx.Timeout(3.0, connect=1.0)
_KAFKA_SECONDS: Final = 6.0
_EVERY_ADDRESS: Final = ("", "0.0.0.0", "::")  # noqa: S104 - compared with, not listened on


class Probe(msgspec.Struct, frozen=True):
    """One process: its name, where it answers, whether it is ready and what it counts."""

    service: str
    url: str
    ready: bool
    reasons: dict[str, str]
    metrics: str = ""


class Pipeline:
    """Looks at the other services and at Kafka when it is asked, at most every two seconds.

    Args:
        settings: where Kafka and the services are.
        transport: takes the place of the network in tests.
    """

    def __init__(self, settings: Settings, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._settings = settings
        self._urls = service_urls(settings)
        self._http = httpx.AsyncClient(timeout=_SERVICE_TIMEOUT, transport=transport, trust_env=False)
        self._turn = asyncio.Lock()
        self._seen: dict[str, Any] = {}
        self._fresh_until = 0.0

    async def look(self) -> dict[str, Any]:
        """What there is to see. What cannot be reached is named in it; this never fails."""
        async with self._turn:
            if time.monotonic() >= self._fresh_until:
                self._seen = await self._look()
                self._fresh_until = time.monotonic() + _FRESH_SECONDS
            return self._seen

    async def close(self) -> None:
        """Give the connections back."""
        await self._http.aclose()

    async def _look(self) -> dict[str, Any]:
        probes, (consumers, unavailable) = await asyncio.gather(
            asyncio.gather(*(self._probe(name, url) for name, url in self._urls)), self._consumers()
        )
        return {
            "at": moment(datetime.now(UTC)),
            "services": [
                {"service": probe.service, "url": probe.url, "ready": probe.ready, "reasons": probe.reasons}
                for probe in probes
            ],
            "consumers": [msgspec.structs.asdict(row) for row in consumers],
            "consumers_unavailable": unavailable,
            "ledger": by_reason((probe.metrics for probe in probes), LEDGER),
            "dead_letters": by_reason((probe.metrics for probe in probes), DEAD_LETTERS),
        }

    async def _probe(self, service: str, url: str) -> Probe:
        try:
            ready, metrics = await asyncio.gather(self._http.get(f"{url}/readyz"), self._http.get(f"{url}/metrics"))
        except httpx.HTTPError as error:
            return Probe(
                service, url, ready=False, reasons={"process": f"no answer ({str(error) or type(error).__name__})"}
            )
        return Probe(service, url, ready.is_success, reasons_of(ready), metrics.text if metrics.is_success else "")

    async def _consumers(self) -> tuple[list[Lag], str | None]:
        try:
            async with asyncio.timeout(_KAFKA_SECONDS):
                return await _lags(self._settings), None
        except (KafkaError, OSError, TimeoutError) as error:
            where = self._settings.kafka_bootstrap_servers
            return [], f"Kafka at {where} did not tell the offsets ({str(error) or type(error).__name__})"


def service_urls(settings: Settings) -> list[tuple[str, str]]:
    """Name and address of each process, from SERVICE_URLS, else those of one machine."""
    if settings.service_urls:
        pairs = (item.partition("=") for item in settings.service_urls.split(","))
        return [(name.strip(), url.strip().rstrip("/")) for name, _, url in pairs]
    host = "127.0.0.1" if settings.host in _EVERY_ADDRESS else settings.host
    ports = {
        "api": settings.http_port,
        "stream_processor": settings.processor_port,
        "materializer": settings.materializer_port,
        "analyzer_worker": settings.analyzer_port,
    }
    return [(name, f"http://{f'[{host}]' if ':' in host else host}:{port}") for name, port in ports.items()]


def reasons_of(answer: httpx.Response) -> dict[str, str]:
    """Why a process is not ready, in its own words."""
    if answer.is_success:
        return {}
    try:
        reasons = answer.json().get("reasons", {})
        return {str(name): str(reason) for name, reason in reasons.items()}
    except (ValueError, AttributeError):
        return {"process": f"it answered {answer.status_code}"}


def by_reason(texts: Iterable[str], name: str) -> dict[str, int]:
    """A counter with the label `reason`, summed over the processes whose metrics these are (Prometheus text)."""
    counts: Counter[str] = Counter()
    for text in texts:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == name:
                    counts[sample.labels.get("reason", "")] += int(sample.value)
    return dict(counts.most_common())


async def _lags(settings: Settings) -> list[Lag]:
    async with _admin(settings) as client:
        committed = await committed_offsets(client)
    reader = make_consumer(settings, group_id=None)
    try:
        await reader.start()
        return await lags(committed, reader)
    finally:
        await reader.stop()


@asynccontextmanager
async def _admin(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(client_id="query-api", **connection_options(settings))
    try:
        await client.start()
        yield client
    finally:
        await client.close()
