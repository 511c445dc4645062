"""Similar past incidents, from a real PostgreSQL with and without pgvector."""

from typing import Any

import httpx2
import pytest

from schemas.analysis import Evidence
from schemas.incident import Change
from tests.unit.query_api.view_records import OPENED, START, Fill, Log, Rows, analysis, incident

POOL = "connection pool exhausted: 50 of 50 in use"
NOTED = Change(START + 9, "ada", "status_changed", "by hand", "open", "resolved", note="Raised the pool.")
QUIET = Change(START + 9, "system", "quiet", "no event for 60 minutes", "open", "resolved")


@pytest.fixture
async def history(fill: Fill) -> None:
    """Ended incidents that are alike, less so and not at all; an open one, a merged one and one without quotes."""
    log = Log()
    quotes = {
        "near": "connection pool exhausted: 20 of 20 in use",
        "far": "connection pool of reports exhausted, 3 waiting",
        "other": "certificate of mail.example.com expired",
        "open": POOL,
        "merged": POOL,
        "now": POOL,
    }
    ended = {"status": "resolved", "timeline": [OPENED, NOTED]}
    changes: dict[str, dict[str, Any]] = {
        "far": {"service": "reports", "timeline": [OPENED, QUIET]},
        "open": {"status": "open"},
        "merged": {"merged_into": "near"},
        "now": {"status": "open"},
    }
    for place, key in enumerate([*quotes, "silent"]):
        log.incidents(incident(key, created_at=START + place, **(ended | changes.get(key, {}))))
    for key, quote in quotes.items():
        log.analyses(analysis(key, evidence=[Evidence("e1", quote)]))
    log.analyses(analysis("silent", evidence=[]))
    await fill(log)


async def _similar(api: httpx2.AsyncClient, **body: Any) -> dict[str, Any]:
    answer = await api.post("/api/v1/incidents/similar", json={"texts": [POOL], "service": "checkout"} | body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize("method", ["vector", "full_text"])
async def test_ended_incidents_with_like_messages_are_found(api: httpx2.AsyncClient, rows: Rows, method: str) -> None:
    """The most similar first, with what resolved them; open, merged and unlike ones never."""
    if method == "full_text":
        await rows("DROP EXTENSION vector")
    found = await _similar(api)
    assert found["method"] == method
    assert [item["key"] for item in found["similar"]] == ["near", "far"]
    near, far = found["similar"]
    assert (near["resolution"]["actor"], near["resolution"]["note"]) == ("ada", "Raised the pool.")
    assert (far["resolution"]["actor"], far["resolution"]["reason"]) == ("system", "no event for 60 minutes")
    assert 1 >= near["similarity"] > far["similarity"] > 0.3
    assert [item["key"] for item in (await _similar(api, exclude="near", limit=1))["similar"]] == ["far"]
    assert (await _similar(api, texts=["17 42"]))["similar"] == []


@pytest.mark.usefixtures("history")
async def test_an_incident_has_similar_ones(api: httpx2.AsyncClient) -> None:
    """By what its analysis quotes; none where it quotes nothing; 404 where there is no incident."""
    ids = {item["key"]: item["id"] for item in (await api.get("/api/v1/incidents")).json()}
    found = (await api.get(f"/api/v1/incidents/{ids['now']}/similar")).json()
    assert [item["key"] for item in found["similar"]] == ["near", "far"]
    assert (await api.get(f"/api/v1/incidents/{ids['silent']}/similar")).json()["similar"] == []
    assert (await api.get("/api/v1/incidents/999/similar")).status_code == 404
    assert (await api.get(f"/api/v1/incidents/{ids['now']}/similar?limit=0")).status_code == 422


async def test_a_later_analysis_replaces_the_words(fill: Fill, rows: Rows) -> None:
    """An older revision changes nothing; one that quotes nothing leaves none."""
    log = Log()
    log.incidents(incident())
    log.analyses(analysis(revision=2, evidence=[Evidence("e1", "disk full")]))
    await fill(log)
    log.analyses(analysis(revision=1, evidence=[Evidence("e1", "pool exhausted")]))
    await fill(log)
    assert await rows("SELECT tsvector_to_array(words) AS words FROM incident_terms") == [{"words": ["disk", "full"]}]
    log.analyses(analysis(revision=3, evidence=[]))
    await fill(log)
    assert await rows("SELECT FROM incident_terms") == []
