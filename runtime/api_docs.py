"""Interactive API docs at `/docs` that need no internet: Swagger UI from this package, under a strict policy."""

from html import escape
from pathlib import Path
from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response
from fastapi.staticfiles import StaticFiles

DOCS_URL: Final = "/docs"
_STATIC: Final = StaticFiles(directory=Path(__file__).parent / "static")
_FILES: Final = {
    f"{DOCS_URL}/swagger-ui.css": "swagger-ui/swagger-ui.css",
    f"{DOCS_URL}/swagger-ui-bundle.js": "swagger-ui/swagger-ui-bundle.js",
    f"{DOCS_URL}/docs.js": "docs.js",
    f"{DOCS_URL}/favicon.svg": "brand/favicon.svg",
}
PATHS: Final = frozenset({DOCS_URL, *_FILES})
"""What `install` serves."""

_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}: API docs</title>
<link rel="icon" href="{root}/docs/favicon.svg" type="image/svg+xml">
<link rel="stylesheet" href="{root}/docs/swagger-ui.css">
<script src="{root}/docs/swagger-ui-bundle.js" defer></script>
<script src="{root}/docs/docs.js" defer></script>
</head>
<body>
<div id="swagger-ui" data-openapi="{root}{openapi_url}"></div>
<noscript>These docs need JavaScript; what they show is at <a href="{root}{openapi_url}">{openapi_url}</a>.</noscript>
</body>
</html>
"""
_HEADERS: Final = {
    # data: holds the little pictures of swagger-ui.css.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # asked for again, and answered 304 while the file is the same
}


def install(app: FastAPI) -> None:
    """Serve the docs of `app`; make it with `docs_url=None, redoc_url=None`, as FastAPI's own load from a CDN."""
    for path in PATHS:
        endpoint = _page if path == DOCS_URL else _file
        app.add_api_route(path, endpoint, methods=["GET", "HEAD"], include_in_schema=False)


async def _page(request: Request) -> Response:
    app, root = request.app, request.scope.get("root_path", "").rstrip("/")
    words = {"title": app.title, "root": root, "openapi_url": app.openapi_url}
    text = _PAGE.format(**{name: escape(value) for name, value in words.items()})
    return HTMLResponse(text, headers=_HEADERS)


async def _file(request: Request) -> Response:
    answer = await _STATIC.get_response(_FILES[request.scope["route"].path], request.scope)
    answer.headers.update(_HEADERS)
    return answer
