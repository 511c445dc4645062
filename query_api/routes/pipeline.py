"""The pipeline as its operators see it."""

from fastapi import APIRouter, Response
from msgspec.json import encode

from query_api.answers import LAG_HISTORY, PIPELINE, LagHistoryAnswer, PipelineAnswer, VisibilityAnswer, shown
from query_api.pipeline import Pipeline


def router(pipeline: Pipeline) -> APIRouter:
    """The route that shows the pipeline."""
    routes = APIRouter(prefix="/api/v1/pipeline", tags=["pipeline"])

    @routes.get(
        "",
        response_model=PipelineAnswer,
        summary="The pipeline's health",
        responses={200: shown(PIPELINE, "At most two seconds old. What cannot be reached is named in it.")},
    )
    async def read_pipeline() -> Response:
        """Who is ready, how far consumers are behind, and what became of the events."""
        return Response(encode(await pipeline.look()), media_type="application/json")

    @routes.get(
        "/history",
        response_model=list[LagHistoryAnswer],
        summary="The lag of the last hour",
        responses={200: shown(LAG_HISTORY, "As this process has seen it since it started, every 30 s.")},
    )
    async def read_history() -> Response:
        """How far each consumer group was behind in each topic: records of all partitions, seconds of the worst."""
        return Response(encode(pipeline.history()), media_type="application/json")

    @routes.get(
        "/visibility",
        response_model=VisibilityAnswer,
        summary="Whether the pipeline sees",
        responses={200: shown(PIPELINE["visibility"], "At most about five seconds old. No process is asked for it.")},
    )
    async def read_visibility() -> Response:
        """Whether incidents come out of what goes in, and how long that takes; `stopped_at` only `/pipeline` tells."""
        return Response(encode(pipeline.visibility()), media_type="application/json")

    return routes
