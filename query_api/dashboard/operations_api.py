"""What operators read and send: the pipeline's health, and events to try it with."""

from dataclasses import dataclass
from typing import Final

from query_api.dashboard.api_client import ApiClient, decode
from query_api.dashboard.records import BatchAnswer, LagCurve, PipelineView, VisibilityView

PIPELINE: Final = "/api/v1/pipeline"
BATCH: Final = "/api/v1/events/batch"
SENT_BY: Final = "dashboard"


@dataclass(frozen=True)
class Burst:
    """Events to send: `count` times the same."""

    service: str
    level: str
    message: str
    count: int


class OperationsApi:
    """Every method raises as ApiClient does."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    async def pipeline(self) -> PipelineView:
        """The pipeline as its operators see it."""
        return await self._client.get(PIPELINE, PipelineView)

    async def visibility(self) -> VisibilityView | None:
        """Whether the pipeline sees; None where this API does not tell."""
        return await self._client.get_if_there(f"{PIPELINE}/visibility", VisibilityView)

    async def lag_history(self) -> list[LagCurve]:
        """The lag of the last hour."""
        return await self._client.get(f"{PIPELINE}/history", list[LagCurve])

    async def send(self, burst: Burst) -> BatchAnswer:
        """Send events through the gateway, as any producer does; they say that they came from here."""
        event = {"service": burst.service, "level": burst.level, "message": burst.message}
        event |= {"attributes": {"sent_by": SENT_BY}}  # type: ignore[dict-item]  # JSON's values are of any kind
        return decode(await self._client.send("POST", BATCH, json=[event] * burst.count), BatchAnswer)
