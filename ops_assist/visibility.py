"""What the HTTP API tells of whether the pipeline sees, as a line for people."""

from typing import Final

import httpx
import msgspec

from runtime.lag.words import span_in_words
from runtime.settings import Settings

_SECONDS: Final = 10.0


class _Latency(msgspec.Struct, frozen=True):
    incidents: int = 0
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


class _Visibility(msgspec.Struct, frozen=True):
    blind: bool | None = None
    reason: str | None = None
    incidents: _Latency = _Latency()
    canary: _Latency = _Latency()


class _Pipeline(msgspec.Struct, frozen=True):
    visibility: _Visibility | None = None


async def visibility_in_words(settings: Settings, transport: httpx.AsyncBaseTransport | None = None) -> str:
    """Latencies of the last hour and whether the pipeline is blind; who does not answer is named.

    Args:
        settings: `api_url` is where the HTTP API answers.
        transport: takes the place of the network in tests.
    """
    try:
        async with httpx.AsyncClient(timeout=_SECONDS, trust_env=False, transport=transport) as http:
            answer = await http.get(f"{settings.api_url}/api/v1/pipeline")
            answer.raise_for_status()
        found = msgspec.json.decode(answer.content, type=_Pipeline).visibility
    except (httpx.HTTPError, httpx.InvalidURL, msgspec.MsgspecError) as error:
        return f"whether incidents become visible is unknown: no HTTP API at {settings.api_url} ({_named(error)})"
    return "whether incidents become visible is unknown: this HTTP API does not tell" if found is None else _told(found)


def _told(found: _Visibility) -> str:
    sight = {True: f"BLIND: {found.reason}", False: "the pipeline sees", None: "no canary looks whether it sees"}
    return (
        f"{sight[found.blind]}; from event to visible incident in the last hour: {_latency(found.incidents)}; "
        f"canary: {_latency(found.canary)}"
    )


def _latency(latency: _Latency) -> str:
    if not latency.incidents:
        return "none"
    quantiles = (("p50", latency.p50), ("p95", latency.p95), ("p99", latency.p99))
    return f"{', '.join(f'{name} {span_in_words(value)}' for name, value in quantiles)} of {latency.incidents:,}"


def _named(error: Exception) -> str:
    return str(error) or type(error).__name__
