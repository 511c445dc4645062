"""The pipeline as its operators see it."""

from fastapi import APIRouter, Response
from msgspec.json import encode

from query_api.answers import PIPELINE, PipelineAnswer, shown
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

    return routes
