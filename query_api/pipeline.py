"""The pipeline as its operators see it: who is ready, how far consumers are behind, what became of the events."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import httpx
import msgspec
from prometheus_client.parser import text_string_to_metric_families

from query_api.sight import Blindness, Process, as_answer, explained
from query_api.views import moment
from query_api.vigil import Sightings, Vigil
from runtime.lag.history import Point
from runtime.lag.watch import FRESH_SECONDS, LagView, LagWatch
from runtime.local_address import local_url
from runtime.settings import Settings

LEDGER: Final = "ops_processor_events_total"
DEAD_LETTERS: Final = "ops_processor_dead_lettered_total"

_SERVICE_TIMEOUT: Final = httpx.Timeout(3.0, connect=1.0)


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
        sightings: what the view shows of the canary.
        transport: takes the place of the network in tests.
    """

    def __init__(
        self, settings: Settings, sightings: Sightings, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._settings = settings
        self._vigil = Vigil(sightings, settings.canary_interval)
        self._urls = service_urls(settings)
        self._lags = LagWatch(settings)
        self._watching: list[asyncio.Task[None]] = []
        self._http = httpx.AsyncClient(timeout=_SERVICE_TIMEOUT, transport=transport, trust_env=False)
        self._turn = asyncio.Lock()
        self._seen: dict[str, Any] = {}
        self._fresh_until = 0.0

    async def look(self) -> dict[str, Any]:
        """What there is to see. What cannot be reached is named in it; this never fails."""
        async with self._turn:
            if time.monotonic() >= self._fresh_until:
                self._seen = await self._look()
                self._fresh_until = time.monotonic() + FRESH_SECONDS
            return self._seen

    def history(self) -> list[dict[str, Any]]:
        """The lag of the last hour, by group and topic."""
        return [
            {"group": group, "topic": topic, "points": [_point(point) for point in points]}
            for (group, topic), points in self._lags.curves().items()
        ]

    def visibility(self) -> dict[str, Any]:
        """Whether the pipeline sees, as of a few seconds ago; costs nothing, and asks no process."""
        vigil = self._vigil
        return as_answer(vigil.seen, vigil.blind, vigil.interval, vigil.unavailable)

    def start(self) -> None:
        """Begin to look at the lag and the canary now and then, so that there are a history, metrics and an alarm."""
        self._watching = [asyncio.create_task(self._lags.run()), asyncio.create_task(self._vigil.run())]

    async def close(self) -> None:
        """Stop looking and give the connections back."""
        self._vigil.stop()
        for task in self._watching:
            task.cancel()
        if self._watching:
            await asyncio.wait(self._watching)
        await self._http.aclose()

    async def _look(self) -> dict[str, Any]:
        probes, lag, blind = await asyncio.gather(
            asyncio.gather(*(self._probe(name, url) for name, url in self._urls)),
            self._lags.look(),
            self._vigil.look(),
        )
        return {
            "at": moment(datetime.now(UTC)),
            "services": [
                {"service": probe.service, "url": probe.url, "ready": probe.ready, "reasons": probe.reasons}
                for probe in probes
            ],
            "groups": [msgspec.structs.asdict(group) for group in lag.groups],
            "consumers": _consumers(lag),
            "consumers_unavailable": lag.unavailable,
            "ledger": by_reason((probe.metrics for probe in probes), LEDGER),
            "dead_letters": by_reason((probe.metrics for probe in probes), DEAD_LETTERS),
            "visibility": self._visibility(blind, probes),
        }

    def _visibility(self, blind: Blindness | None, probes: Sequence[Probe]) -> dict[str, Any]:
        vigil = self._vigil
        if blind:
            processes = [Process(probe.service, probe.reasons, probe.metrics) for probe in probes]
            blind = explained(blind, processes, vigil.interval, time.time())
        return as_answer(vigil.seen, blind, vigil.interval, vigil.unavailable)

    async def _probe(self, service: str, url: str) -> Probe:
        try:
            ready, metrics = await asyncio.gather(self._http.get(f"{url}/readyz"), self._http.get(f"{url}/metrics"))
        except httpx.HTTPError as error:
            return Probe(
                service, url, ready=False, reasons={"process": f"no answer ({str(error) or type(error).__name__})"}
            )
        return Probe(service, url, ready.is_success, reasons_of(ready), metrics.text if metrics.is_success else "")


def service_urls(settings: Settings) -> list[tuple[str, str]]:
    """Name and address of each process, from SERVICE_URLS, else those of one machine."""
    if settings.service_urls:
        pairs = (item.partition("=") for item in settings.service_urls.split(","))
        return [(name.strip(), url.strip().rstrip("/")) for name, _, url in pairs]
    ports = {
        "api": settings.http_port,
        "stream_processor": settings.processor_port,
        "materializer": settings.materializer_port,
        "analyzer_worker": settings.analyzer_port,
    }
    return [(name, local_url(settings.host, port)) for name, port in ports.items()]


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


def _consumers(lag: LagView) -> list[dict[str, Any]]:
    pairs = zip(lag.rows, lag.trends, strict=True)
    return [msgspec.structs.asdict(row) | msgspec.structs.asdict(trend) for row, trend in pairs]


def _point(point: Point) -> dict[str, Any]:
    at = moment(datetime.fromtimestamp(point.at, UTC))
    return {"at": at, "lag": point.lag, "seconds": point.seconds}
