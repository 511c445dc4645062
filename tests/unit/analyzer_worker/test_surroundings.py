"""The view may know more, and may be away."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from analyzer_worker.evidence.gather import Gatherer, typical
from analyzer_worker.evidence.surroundings import Neighbour, ViewReader, nearest
from runtime.settings import Settings, load_settings
from tests.unit.analyzer_worker.materials import MINUTE, incident, sample

OPENED = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
INCIDENT = incident(created_at=round(OPENED.timestamp()) * 1_000_000)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(
        _env_file=None, kafka_bootstrap_servers="127.0.0.1:1", state_dir=tmp_path, api_url="http://view/"
    )


def reader(settings: Settings, answer: Callable[[httpx.Request], httpx.Response]) -> ViewReader:
    return ViewReader(settings, httpx.MockTransport(answer))


def neighbour(service: str, minutes: float, key: str = "n") -> Neighbour:
    return Neighbour(key, service, "other", "P3", OPENED + timedelta(minutes=minutes), 5)


def test_each_other_service_is_named_once() -> None:
    """The incident nearest in time, nearest services first, the incident itself and its own service never."""
    found = [
        neighbour("cart", -9),
        neighbour("cart", 3, "cart-2"),
        neighbour("mail", -1),
        neighbour("checkout", 0),
        neighbour("self", 0, "k"),
        *(neighbour(f"s{n}", 10 + n / 10) for n in range(20)),
    ]
    named = nearest(found, INCIDENT)
    assert [(item.service, item.key) for item in named[:2]] == [("mail", "n"), ("cart", "cart-2")]
    assert len(named) == 10


async def test_the_view_is_asked_for_a_quarter_of_an_hour_and_for_the_past(settings: Settings) -> None:
    """Both requests say what they need and no more."""
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        if request.method == "GET":
            return httpx.Response(200, json=[{"key": "n", "service": "cart", "category": "other", "severity": "P3",
                "created_at": "2026-11-24T12:01:00.000000Z", "event_count": 5, "id": 7}])  # fmt: skip
        ended = {"actor": "ada", "note": "raised the pool", "reason": None, "time": "2026-11-01T00:00:00Z"}
        past = {"service": "s", "category": "other", "summary": "It broke.", "similarity": 0.8, "resolution": ended}
        return httpx.Response(200, json={"method": "vector", "similar": [past]})

    view = reader(settings, answer)
    neighbours, past = await view.neighbours(INCIDENT), await view.past(INCIDENT, ["pool exhausted"] * 20)
    await view.close()

    assert [item.service for item in neighbours or []] == ["cart"]
    assert [item.resolution.note for item in past or [] if item.resolution] == ["raised the pool"]
    assert dict(asked[0].url.params) == {
        "since": "2026-11-24T11:45:00.000000Z", "until": "2026-11-24T12:15:00.000000Z", "limit": "100",
    }  # fmt: skip
    body = json.loads(asked[1].content)
    assert (body["service"], body["exclude"], len(body["texts"])) == ("checkout", "k", 10)


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: httpx.Response(503),
        lambda _: httpx.Response(404, json={}),
        lambda _: httpx.Response(200, text="<html>"),
        lambda _: httpx.Response(200, json={"similar": "many"}),
        lambda _: httpx.Response(200, content=b"\xff"),
    ],
)
async def test_an_answer_that_is_none_is_missing(
    settings: Settings, answer: Callable[[httpx.Request], httpx.Response]
) -> None:
    """An analysis goes on without."""
    view = reader(settings, answer)
    assert (await view.neighbours(INCIDENT), await view.past(INCIDENT, ["x"])) == (None, None)
    await view.close()


async def test_nobody_there_leaves_what_is_at_hand(settings: Settings) -> None:
    """Neither Kafka nor the view answers: the samples are the evidence."""

    def away(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("slow", request=request)

    gatherer = Gatherer(settings, reader(settings, away))
    samples = [sample("pool exhausted", number) for number in range(5)]
    gathered = await gatherer.gather(incident(event_count=100_000, last_event_at=9 * MINUTE), samples)
    await gatherer.close()
    assert (gathered.events, gathered.drawn, gathered.per_minute) == (samples, None, None)
    assert (gathered.surroundings.neighbours, gathered.surroundings.past) == (None, None)


def test_similar_incidents_are_looked_for_by_distinct_messages() -> None:
    """Ten of them, bounded in length."""
    texts = typical([sample("a"), sample("a"), *(sample(f"{n}" * 900) for n in range(20))])
    assert texts[0] == "a"
    assert (len(texts), len(texts[1])) == (10, 500)
