"""Pages of a list: `skip` and `limit` in, `Link` and `X-Total-Count` out (RFC 8288).

The links also say after which row their page begins, so that whoever follows them finds every page as quickly as the
first, however deep, and misses none when rows come in between.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Generic, TypeVar

import msgspec
from fastapi import Query
from fastapi.responses import Response
from msgspec.json import encode
from sqlalchemy import BigInteger, ColumnElement, bindparam, tuple_
from starlette.datastructures import URL
from starlette.requests import Request

from query_api.text import clean
from runtime.problem import Problem

MAX_SKIP = 100_000_000

Skip = Annotated[int, Query(ge=0, le=MAX_SKIP, description="How many of the newest to leave out.")]
Limit = Annotated[int, Query(ge=1, le=1_000, description="How many to give at most.")]
CursorText = Annotated[
    str | None,
    Query(max_length=2_000, description="Where the page begins, as the Link header gives it; goes before `skip`."),
]
Columns = Sequence[Any]
"""Columns of one table, which is Any to SQLModel's types."""

Row = TypeVar("Row")

_BAD_CURSOR: Final = "cursor: not one of this list; follow the Link header, or leave it out and use skip"


@dataclass(frozen=True)
class Page:
    """Which part of a list is asked for."""

    skip: int
    limit: int
    cursor: str | None = None


@dataclass(frozen=True)
class Cursor:
    """A place between rows: after the row with these values of the order's columns, or before it."""

    values: tuple[Any, ...]
    backwards: bool = False

    def __str__(self) -> str:
        shown = [value.isoformat() if isinstance(value, datetime) else value for value in self.values]
        return urlsafe_b64encode(encode([self.backwards, *shown])).decode().rstrip("=")


@dataclass(frozen=True)
class Part(Generic[Row]):
    """The rows of a page, and whether there are others around it."""

    rows: list[Row]
    before: bool
    after: bool


def numbered_page(skip: Skip = 0, limit: Limit = 100) -> Page:
    """The page that a request asks for, of a list without cursors."""
    return Page(skip, limit)


def page(skip: Skip = 0, limit: Limit = 100, cursor: CursorText = None) -> Page:
    """The page that a request asks for."""
    return Page(skip, limit, cursor or None)


def parse_cursor(text: str, columns: Columns) -> Cursor:
    """The cursor of a list that is ordered by `columns`.

    Raises:
        Problem: 422 where it is of another list, or none at all.
    """
    try:
        backwards, *values = msgspec.json.decode(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        parsed = tuple(_value(value, column) for value, column in zip(values, columns, strict=True))
    except (ValueError, TypeError, msgspec.DecodeError, binascii.Error) as error:
        raise Problem(422, _BAD_CURSOR, errors=[{"field": "cursor", "message": _BAD_CURSOR}]) from error
    return Cursor(parsed, backwards is True)


def _value(value: Any, column: ColumnElement[Any]) -> Any:
    kind = column.type.python_type
    if kind is datetime:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise ValueError("a time without an offset")
        return moment
    if type(value) is not kind:
        raise TypeError(f"expected {kind.__name__}")
    if isinstance(value, int) and value.bit_length() > (63 if isinstance(column.type, BigInteger) else 31):
        raise ValueError("a number that is too large")
    return clean(value) if isinstance(value, str) else value


def beyond(columns: Columns, cursor: Cursor, *, descending: bool) -> ColumnElement[bool]:
    """The rows on the cursor's side of its place."""
    place = tuple_(
        *(bindparam(None, value, type_=column.type) for column, value in zip(columns, cursor.values, strict=True))
    )
    return tuple_(*columns) < place if descending != cursor.backwards else tuple_(*columns) > place


def in_order(columns: Columns, *, descending: bool) -> tuple[ColumnElement[Any], ...]:
    """The columns as an ORDER BY takes them, all in one direction."""
    return tuple(column.desc() if descending else column.asc() for column in columns)


def part_of(found: Sequence[Row], wanted: Page, cursor: Cursor | None) -> Part[Row]:
    """The page out of one row more than it holds, read in the cursor's direction."""
    rows, more = list(found[: wanted.limit]), len(found) > wanted.limit
    if cursor and cursor.backwards:
        return Part(rows[::-1], before=more, after=True)
    return Part(rows, before=cursor is not None or wanted.skip > 0, after=more)


def links(request: Request, wanted: Page, part: Part[Any], columns: Columns) -> str:
    """The Link header: `next` where there is more, `prev` where something is before; empty where neither is.

    Args:
        request: whose path and other parameters the links have.
        wanted: the page that it asked for.
        part: what was found; each row has the columns' values as attributes.
        columns: what the list is ordered by; none where it has no cursors.
    """
    targets = {}
    if part.after:
        targets["next"] = _target(wanted.skip + wanted.limit, _cursor(part.rows[-1:], columns, backwards=False))
    if part.before:
        skip = max(0, wanted.skip - wanted.limit)
        targets["prev"] = _target(skip, _cursor(part.rows[:1] if skip else [], columns, backwards=True))
    bare = own_url(request).remove_query_params("cursor")
    return ", ".join(
        f'<{bare.include_query_params(**target, limit=wanted.limit)}>; rel="{rel}"' for rel, target in targets.items()
    )


def own_url(request: Request) -> URL:
    """The request's URL with its path as it was sent: `request.url` has it decoded, which no header can hold."""
    path = request.scope["raw_path"].decode("latin-1")
    return URL(f"{request.url.scheme}://{request.url.netloc}{path}").replace(query=request.url.query)


def _target(skip: int, cursor: Cursor | None) -> dict[str, Any]:
    return {"skip": skip} | ({"cursor": str(cursor)} if cursor else {})


def _cursor(rows: Sequence[Any], columns: Columns, *, backwards: bool) -> Cursor | None:
    if not rows or not columns:
        return None
    return Cursor(tuple(getattr(rows[0], str(column.key)) for column in columns), backwards)


def list_response(items: list[dict[str, Any]], headers: dict[str, str]) -> Response:
    """The bare JSON array with its headers; those without a value are left out."""
    kept = {name: value for name, value in headers.items() if value}
    return Response(encode(items), headers=kept, media_type="application/json")
