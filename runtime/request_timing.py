"""How long requests take, by route: `ops_http_request_seconds`."""

import time
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runtime.metrics import HTTP_SECONDS

OTHER: Final = "other"
"""Stands for what a stranger may choose freely: paths without a route, and methods that HTTP does not have."""

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class RequestTiming:
    """Observes each request of `app`, from its arrival until its answer begins: a stream of changes has no end."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, answered = time.perf_counter(), False

        async def observed_send(message: Message) -> None:
            nonlocal answered
            if not answered:
                answered = True
                _observe(scope, message["status"], began)
            await send(message)

        try:
            await self._app(scope, receive, observed_send)
        except Exception:
            if not answered:  # what is outside of this answers 500
                _observe(scope, 500, began)
            raise


def _observe(scope: Scope, status: int, began: float) -> None:
    method = scope["method"] if scope["method"] in METHODS else OTHER
    route = getattr(scope.get("route"), "path", OTHER)  # the template, which the router has put there by now
    HTTP_SECONDS.labels(method, route, str(status)).observe(time.perf_counter() - began)
