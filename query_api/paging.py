"""Pages of a list: `skip` and `limit` in, `Link` and `X-Total-Count` out (RFC 8288)."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Query
from fastapi.responses import Response
from msgspec.json import encode
from starlette.datastructures import URL

MAX_SKIP = 100_000_000

Skip = Annotated[int, Query(ge=0, le=MAX_SKIP, description="How many of the newest to leave out.")]
Limit = Annotated[int, Query(ge=1, le=1_000, description="How many to give at most.")]


@dataclass(frozen=True)
class Page:
    """Which part of a list is asked for."""

    skip: int
    limit: int


def page(skip: Skip = 0, limit: Limit = 100) -> Page:
    """The page that a request asks for."""
    return Page(skip, limit)


def links(url: URL, wanted: Page, *, more: bool) -> str:
    """The Link header: `next` where there is more, `prev` where something was skipped; empty where neither is."""
    targets = {}
    if more:
        targets["next"] = wanted.skip + wanted.limit
    if wanted.skip:
        targets["prev"] = max(0, wanted.skip - wanted.limit)
    return ", ".join(
        f'<{url.include_query_params(skip=skip, limit=wanted.limit)}>; rel="{rel}"' for rel, skip in targets.items()
    )


def list_response(items: list[dict[str, Any]], headers: dict[str, str]) -> Response:
    """The bare JSON array with its headers; those without a value are left out."""
    kept = {name: value for name, value in headers.items() if value}
    return Response(encode(items), headers=kept, media_type="application/json")
