"""Changing the status of many incidents at once, each for itself: one that cannot does not hold up the others."""

import asyncio
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from query_api.answers import BulkStatusAnswer, problems, shown
from query_api.database import Database, DatabaseAway
from query_api.publisher import BrokerAway, Publisher
from query_api.routes.common import AWAY, ActorHeader, actor, json_body, refuse_reading, whole
from query_api.routes.status import STATUS_SCHEMA, requested, verdict_in
from query_api.status_change import WantedChange, make_change
from runtime.problem import Problem
from schemas.lifecycle import STATUSES, Status

MAX_INCIDENTS: Final = 500

_AT_ONCE: Final = 6
"""Fewer than the pool has connections: others are to get theirs meanwhile."""

_OK: Final = 200
_SOME_FAILED: Final = 207
_DONE: Final = {"incident_id": 1, "status": 200, "new_status": "resolved"}
_FAILED: Final = {"incident_id": 42, "status": 404, "detail": "There is no incident 42"}


def router(database: Database, publisher: Publisher) -> APIRouter:
    """The route that changes many statuses."""
    routes = APIRouter(prefix="/api/v1/incidents", tags=["incidents"])

    @routes.patch(
        "/status",
        response_model=BulkStatusAnswer,
        summary="Change the status of many",
        openapi_extra={"requestBody": _REQUEST},
        responses={
            200: shown({"changed": 1, "failed": 0, "results": [_DONE]}, "All have the status now."),
            207: shown({"changed": 1, "failed": 1, "results": [_DONE, _FAILED]}, "Some have not; each says why.")
            | {"model": BulkStatusAnswer},
        }
        | problems(
            status_400="Status is required in request body",
            status_413="The body is larger than 65536 bytes",
            status_422=f"ids: expected 1 to {MAX_INCIDENTS} ids of incidents",
        )
        | AWAY,
    )
    async def change_many(request: Request, x_actor: ActorHeader = None) -> Response:
        """As one by one: every change is in Kafka before the answer. What one cannot do does not undo the others."""
        body = await json_body(request)
        status, note = requested(body)
        ids, seen, verdict = requested_ids(body), requested_seen(body), verdict_in(body)
        limit = asyncio.Semaphore(_AT_ONCE)

        async def one(incident_id: int) -> dict[str, Any]:
            async with limit:
                change = WantedChange(status, note, actor(x_actor), seen=seen.get(str(incident_id)), verdict=verdict)
                return await _result(database, publisher, incident_id, change)

        results = await asyncio.gather(*(one(incident_id) for incident_id in ids))
        failed = sum(result["status"] != _OK for result in results)
        content = {"changed": len(results) - failed, "failed": failed, "results": results}
        return JSONResponse(content, _SOME_FAILED if failed else _OK)

    refuse_reading(routes, "/status", Problem(405, "Statuses are changed here, with PATCH", headers={"Allow": "PATCH"}))
    return routes


def requested_ids(body: Any) -> list[int]:
    """The ids of a request's body, each once, in their order.

    Raises:
        Problem: 422 where they are none, too many or no integers.
    """
    ids = body.get("ids") if isinstance(body, dict) else None
    numbers = [whole(each) for each in ids] if isinstance(ids, list) else []
    if not 0 < len(numbers) <= MAX_INCIDENTS or not all(type(each) is int for each in numbers):
        raise Problem(422, f"ids: expected 1 to {MAX_INCIDENTS} ids of incidents")
    return list(dict.fromkeys(numbers))


def requested_seen(body: Any) -> dict[str, Status]:
    """The statuses that the request's maker saw, by the ids of the incidents, as text.

    Raises:
        Problem: 422 where they are none.
    """
    seen = {} if body.get("seen") is None else body["seen"]
    if not isinstance(seen, dict) or not all(status in STATUSES for status in seen.values()):
        raise Problem(422, f"seen: expected an object of ids and their statuses, each one of {', '.join(STATUSES)}")
    return seen


async def _result(database: Database, publisher: Publisher, incident_id: int, change: WantedChange) -> dict[str, Any]:
    """What became of one: the status and the sentence that a request for it alone would have had."""
    try:
        await make_change(database, publisher, incident_id, change)
    except Problem as problem:
        return _failure(incident_id, problem.status, problem.detail)
    except (BrokerAway, DatabaseAway) as away:
        return _failure(incident_id, 503, f"Nothing was changed ({away}); please try again")
    status: Status = change.status
    return {"incident_id": incident_id, "status": _OK, "new_status": status}


def _failure(incident_id: int, status: int, detail: str) -> dict[str, Any]:
    return {"incident_id": incident_id, "status": status, "detail": detail}


_REQUEST: Final[dict[str, Any]] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": STATUS_SCHEMA
            | {
                "required": ["ids", "status"],
                "properties": STATUS_SCHEMA["properties"]
                | {
                    "ids": {
                        "type": "array",
                        "items": {"type": "integer"},
                        "minItems": 1,
                        "maxItems": MAX_INCIDENTS,
                    },
                    "seen": {
                        "type": ["object", "null"],
                        "description": "By id, the status that you saw; incidents that have another by now stay (412).",
                        "additionalProperties": {"type": "string", "enum": list(STATUSES)},
                    },
                },
            },
            "example": {"ids": [1, 2], "status": "resolved", "note": "the pool was raised", "seen": {"1": "open"}},
        }
    },
}
