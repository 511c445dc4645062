"""The line of `ops-assist lag` on whether the pipeline sees."""

from typing import Any

import httpx
import pytest

from ops_assist.visibility import visibility_in_words
from runtime.settings import load_settings

LATENCY = {"incidents": 1_200, "p50": 0.31, "p95": 2.0, "p99": 75.0}
NONE = {"incidents": 0, "p50": None, "p95": None, "p99": None}


async def line(answer: httpx.Response | httpx.HTTPError) -> str:
    def give(request: httpx.Request) -> httpx.Response:
        if isinstance(answer, httpx.HTTPError):
            answer.request = request
            raise answer
        return answer

    settings = load_settings(_env_file=None, api_url="http://api:8000")
    return await visibility_in_words(settings, httpx.MockTransport(give))


def body(**changes: Any) -> httpx.Response:
    visibility = {"blind": False, "reason": None, "incidents": LATENCY, "canary": NONE} | changes
    return httpx.Response(200, json={"at": "now", "visibility": visibility})


@pytest.mark.parametrize(
    ("blind", "start"), [(False, "the pipeline sees;"), (None, "no canary looks"), (True, "BLIND: it stopped;")]
)
async def test_sight_and_latencies_are_one_line(blind: bool | None, start: str) -> None:  # noqa: FBT001 - a case
    """Quantiles in words, and what there was none of."""
    text = await line(body(blind=blind, reason="it stopped" if blind else None))

    assert text.startswith(start)
    assert text.endswith("in the last hour: p50 310 ms, p95 2.0 s, p99 1.2 min of 1,200; canary: none")


@pytest.mark.parametrize(
    "answer",
    [
        httpx.ConnectError("Connection refused"),
        httpx.Response(503, text="away"),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json={"at": "now"}),
    ],
)
async def test_an_api_that_does_not_tell_is_no_failure(answer: httpx.Response | httpx.HTTPError) -> None:
    """The lag is shown all the same; the line says that this is unknown."""
    assert (await line(answer)).startswith("whether incidents become visible is unknown: ")
