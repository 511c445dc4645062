"""What every service answers about itself: `/`, `/health`, `/readyz` and `/metrics` (CONTRACT 1)."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any, Final

import uvicorn
from fastapi import APIRouter, FastAPI, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from runtime.settings import Settings
from runtime.stopping import is_stopping

Check = Callable[[], Awaitable[str | None]]
"""Gives None when the thing is there, else a sentence that says what is missing."""

VERSION: Final = version("ops-assist")
_CHECK_SECONDS: Final = 2.0


def health_router(settings: Settings, title: str, checks: Mapping[str, Check]) -> APIRouter:
    """The four routes; `/readyz` is 503 with the reasons until every check passes."""
    router = APIRouter(tags=["service"])

    @router.get("/", summary="What this is", responses=_example({"message": title} | _ROOT))
    async def root() -> dict[str, str]:
        return {"message": title, "status": "online", "version": VERSION}

    @router.get("/health", summary="Whether it lives", responses=_example(_HEALTH))
    async def health() -> dict[str, str]:
        return {"status": "healthy", "environment": settings.environment}

    @router.get("/readyz", summary="Whether its dependencies are there", responses=_READINESS)
    async def ready() -> JSONResponse:
        reasons = {"process": "it was told to stop"} if is_stopping() else await failing(checks)
        status = {"status": "not ready" if reasons else "ready", "reasons": reasons}
        return JSONResponse(status, 503 if reasons else 200)

    @router.get("/metrics", summary="Metrics for Prometheus", response_class=Response, responses=_METRICS)
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return router


def _example(
    value: Any, description: str = "It is.", kind: str = "application/json"
) -> dict[int | str, dict[str, Any]]:
    return {200: {"description": description, "content": {kind: {"example": value}}}}


_ROOT: Final = {"status": "online", "version": VERSION}
_HEALTH: Final = {"status": "healthy", "environment": "development"}
_READINESS: Final = _example({"status": "ready", "reasons": {}}) | {
    503: {
        "description": "Something is missing; each reason is a sentence.",
        "content": {"application/json": {"example": {"status": "not ready", "reasons": {"kafka": "not connected"}}}},
    }
}
_METRICS: Final = _example("ops_materializer_rows_total 17.0\n", "Prometheus' text format.", "text/plain")


async def failing(checks: Mapping[str, Check]) -> dict[str, str]:
    """The checks that fail, each with its sentence; one that takes over two seconds fails too."""
    answers = await asyncio.gather(*(_answer(check) for check in checks.values()))
    return {name: answer for name, answer in zip(checks, answers, strict=True) if answer}


async def _answer(check: Check) -> str | None:
    try:
        return await asyncio.wait_for(check(), _CHECK_SECONDS)
    except TimeoutError:
        return f"no answer within {_CHECK_SECONDS:g} s"
    except Exception as error:  # noqa: BLE001 - a check that breaks is a check that fails
        return f"{type(error).__name__}: {error}"


def status_app(settings: Settings, title: str, checks: Mapping[str, Check], **options: Any) -> FastAPI:
    """A small app with the four routes, for the services that serve nothing else."""
    app = FastAPI(title=title, version=VERSION, docs_url=None, redoc_url=None, **options)
    app.include_router(health_router(settings, title, checks))
    return app


class QuietServer(uvicorn.Server):
    """A uvicorn server inside a process that handles signals itself."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave the signals to the process; uvicorn would take them over and raise them again at its end."""
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let the app end its endless answers (`app.state.before_shutdown`), then wait for the others."""
        for end in getattr(getattr(self.config.app, "state", None), "before_shutdown", ()):
            end()
        await super().shutdown(sockets)


def server(app: FastAPI, settings: Settings, port: int) -> uvicorn.Server:
    """A server for `app` on the settings' host; its `serve` coroutine runs it."""
    config = uvicorn.Config(app, settings.host, port, log_config=None, access_log=False, lifespan="on")
    return QuietServer(config)
