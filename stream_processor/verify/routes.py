"""`GET /api/v1/incidents/{id}/verify`: the answer over HTTP."""

import asyncio
from typing import Annotated, Any, Final

import httpx
from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from runtime.problem import MEDIA_TYPE, Problem
from runtime.settings import Settings
from stream_processor.explain.rules_on_demand import RulesOnDemand, rules_or_problem
from stream_processor.rule_watch import fingerprint_of
from stream_processor.rules import RuleSet
from stream_processor.verify.check import Result
from stream_processor.verify.source import SourceAway, TooLong, UnknownIncident, Verified, named, verify

_RETRY_AFTER: Final = {"Retry-After": "5"}
_DETAILS: Final[dict[Result, str]] = {
    "match": "The log gives this incident: the same key, events, count and times",
    "mismatch": "The log gives something else",
    "expired": "Records that led to this incident are no longer in the log",
}


class VerifyAnswer(BaseModel):
    """Whether an incident is what the log says."""

    incident_id: int
    key: str
    result: Result
    detail: str
    differences: Annotated[list[str], Field(description="What is not as it was published, a sentence each.")]
    partition: Annotated[int, Field(description="The partition of ops.events that was read.")]
    from_offset: Annotated[int, Field(description="The first offset that was read.")]
    to_offset: Annotated[int, Field(description="The first offset behind those that were read.")]
    rules_fingerprint: Annotated[str, Field(description="As on the processor's page /rules.")]


_EXAMPLE: Final[dict[str, Any]] = {
    "incident_id": 1,
    "key": "5f0c1ad7c2b9e1d3a4b5c6d7",
    "result": "match",
    "detail": _DETAILS["match"],
    "differences": [],
    "partition": 2,
    "from_offset": 1200,
    "to_offset": 1312,
    "rules_fingerprint": "5f0c1ad7c2b9",
}


def _problem(status: int, detail: str) -> dict[int | str, dict[str, Any]]:
    example = {"status": status, "detail": detail}
    return {status: {"description": detail, "content": {MEDIA_TYPE: {"example": example}}}}


def router(client: httpx.AsyncClient, settings: Settings, rules: RulesOnDemand) -> APIRouter:
    """The route; one incident is worked on at a time, since each reads a part of the log."""
    routes = APIRouter(tags=["incidents"])
    turn = asyncio.Semaphore(1)

    @routes.get(
        "/api/v1/incidents/{incident_id}/verify",
        summary="Derive an incident again from the log",
        responses={200: {"description": "The verdict.", "content": {"application/json": {"example": _EXAMPLE}}}}
        | _problem(404, "There is no incident 7")
        | _problem(409, "3,000,000 records would have to be read; run `ops-assist backtest --certificate`")
        | _problem(422, "incident_id: Input should be greater than or equal to 1")
        | _problem(503, "The log cannot be read: no connection; please try again"),
    )
    async def verify_incident(
        incident_id: Annotated[int, Path(ge=1, le=2**63 - 1, description="The id of an incident.")],
    ) -> VerifyAnswer:
        """Read the records that led to it, run the detection by the rules in force, and compare."""
        in_force = await rules_or_problem(rules)
        async with turn:
            try:
                found = await verify(settings, await named(client, incident_id), in_force)
            except UnknownIncident as unknown:
                raise Problem(404, str(unknown)) from unknown
            except TooLong as long:
                raise Problem(409, str(long)) from long
            except SourceAway as away:
                detail = f"The log cannot be read: {away}; please try again"
                raise Problem(503, detail, headers=_RETRY_AFTER) from away
        return _answer(incident_id, found, in_force)

    return routes


def _answer(number: int, found: Verified, rules: RuleSet) -> VerifyAnswer:
    return VerifyAnswer(
        incident_id=number,
        key=found.incident.key,
        result=found.verdict.result,
        detail=_DETAILS[found.verdict.result],
        differences=found.verdict.differences,
        partition=found.incident.partition,
        from_offset=found.start,
        to_offset=found.end,
        rules_fingerprint=fingerprint_of(rules),
    )
