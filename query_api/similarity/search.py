"""Past incidents in PostgreSQL, the most similar first: by pgvector, or by full text where it is not installed."""

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec
from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from query_api.similarity.terms import Terms, as_query, as_vector
from query_api.views import moment
from schemas.incident import SYSTEM
from schemas.timestamps import to_rfc3339

Method = Literal["vector", "full_text"]

LEAST: Final = 0.35
"""Below this two incidents share some words and no more."""
MAX_COMPARED: Final = 20_000
"""The newest ended incidents that are compared; the scan is exact."""
SAME_SERVICE: Final = 0.1
"""How much of the similarity is that both are of one service."""

_NAMES: Final = ("id", "key", "service", "category", "severity", "summary", "status", "event_count")
_SHOWN: Final = f"{', '.join(f'i.{name}' for name in _NAMES)}, i.created_at, i.timeline"
_ENDED: Final = "i.merged_into IS NULL AND NOT i.shadow AND i.status IN ('resolved', 'closed') AND i.key <> :exclude"
_NEWEST: Final = f"ORDER BY i.created_at DESC, i.id DESC LIMIT {MAX_COMPARED}"
_BEST: Final = f"""
    SELECT * FROM (
        SELECT *, {1 - SAME_SERVICE} * alike + {SAME_SERVICE} * CAST(service = :service AS int) AS similarity
        FROM compared
    ) AS ranked
    WHERE similarity >= {LEAST}
    ORDER BY similarity DESC, created_at DESC, id DESC
    LIMIT :most
"""  # noqa: S608 - put together from the constants above

# The cosine of the angle between the vectors.
_BY_VECTOR: Final = f"""
    WITH newest AS (
        SELECT {_SHOWN}, t.embedding FROM incidents i JOIN incident_terms t ON t.incident_key = i.key
        WHERE {_ENDED} {_NEWEST}
    ), compared AS (
        SELECT n.*, 1 - (CAST(embedding AS vector) <=> CAST(:embedding AS vector)) AS alike FROM newest n
    )
    {_BEST}
"""  # noqa: S608 - put together from the constants above

# Dice's coefficient of the two sets of words.
_BY_TEXT: Final = f"""
    WITH newest AS (
        SELECT {_SHOWN}, t.words FROM incidents i JOIN incident_terms t ON t.incident_key = i.key
        WHERE {_ENDED} AND t.words @@ CAST(:query AS tsquery) {_NEWEST}
    ), compared AS (
        SELECT n.*, 2.0 * (
            SELECT count(*) FROM unnest(tsvector_to_array(words)) AS word WHERE word = ANY(CAST(:words AS text[]))
        ) / (length(words) + cardinality(CAST(:words AS text[]))) AS alike FROM newest n
    )
    {_BEST}
"""  # noqa: S608 - put together from the constants above


class Found(msgspec.Struct, frozen=True):
    """Past incidents as clients see them, and how they were found."""

    method: Method
    similar: list[dict[str, Any]]


async def similar(session: AsyncSession, terms: Terms | None, service: str, exclude: str, most: int) -> Found:
    """At most `most` incidents that ended and whose messages were like `terms`.

    Args:
        session: a session on the view.
        terms: None finds nothing.
        service: incidents of it count as a little more similar.
        exclude: the key of the incident itself.
        most: how many at most.
    """
    connection = await session.connection()
    has_vector = (await connection.execute(text("SELECT to_regtype('vector') IS NOT NULL"))).scalar_one()
    method: Method = "vector" if has_vector else "full_text"
    if terms is None:
        return Found(method, [])
    asked: dict[str, Any] = {"service": service, "exclude": exclude, "most": most}
    if has_vector:
        statement, asked = _BY_VECTOR, asked | {"embedding": as_vector(terms.embedding)}
    else:
        statement, asked = _BY_TEXT, asked | {"words": terms.words, "query": as_query(terms.words)}
    rows = (await connection.execute(text(statement), asked)).mappings().all()
    return Found(method, [_view(row) for row in rows])


def _view(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {name: row[name] for name in _NAMES} | {
        "created_at": moment(row["created_at"]),
        "similarity": round(float(row["similarity"]), 3),
        "resolution": resolution(row["timeline"]),
    }


def resolution(timeline: list[dict[str, Any]]) -> dict[str, Any] | None:
    """What ended an incident: the newest note of a person who ended it, else the newest entry that did."""
    ends = [entry for entry in reversed(timeline) if entry.get("to_status") in ("resolved", "closed")]
    noted = [entry for entry in ends if entry.get("note") and entry["actor"] != SYSTEM]
    entry = next(iter([*noted, *ends]), None)
    if entry is None:
        return None
    return {
        "time": to_rfc3339(entry["at"]),
        "actor": entry["actor"],
        "note": entry.get("note"),
        "reason": entry["reason"],
    }
