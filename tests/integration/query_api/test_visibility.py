"""When incidents became visible, in PostgreSQL: once each, live ones only, and kept for a day."""

import time
from typing import Any

import httpx2
from prometheus_client import REGISTRY

from query_api.database import Database
from query_api.materializer.store import Store
from query_api.rebuild import _EMPTIED
from query_api.vigil import ViewSightings
from runtime.settings import Settings
from schemas.canary import canaries
from schemas.timestamps import MICROSECONDS
from schemas.topics import CANARY
from tests.integration.query_api.conftest import Serve
from tests.support.waiting import eventually
from tests.unit.query_api.view_records import Fill, Log, Rows, event, incident

SERVICE = canaries(3)[0]


def opened(seconds_ago: float, key: str, version: int = 5, **changes: Any) -> Any:
    """An incident whose event the log took so long ago."""
    return incident(key, version, created_at=round((time.time() - seconds_ago) * MICROSECONDS), **changes)


def counted(origin: str) -> float:
    name = "ops_materializer_incident_visible_seconds_count"
    return REGISTRY.get_sample_value(name, {"origin": origin}) or 0.0


def log_of_all(*, canary_seconds: float = 2.0) -> Log:
    """An incident, one of a rule on trial, one that is part of another, an old one, and two of the canary."""
    log = Log()
    log.incidents(
        opened(4, "live"),
        opened(4, "trial", shadow=True),
        opened(4, "merged", merged_into="live"),
        opened(90_000, "old"),
    )
    log.canaries(
        opened(canary_seconds, "c1", service=SERVICE),
        opened(canary_seconds, "c1", 6, service=SERVICE, status="resolved"),
        opened(canary_seconds / 2, "c2", service=SERVICE, partition=2),
    )
    log.events(event(1), event(2, service=SERVICE))
    return log


async def test_what_became_visible_is_noted_and_the_canary_is_in_no_list(fill: Fill, rows: Rows, view_url: str) -> None:
    """A row for each that anybody can see for the first time; no incident, event or service of the canary."""
    before = counted("incident"), counted("canary")

    await fill(log_of_all())

    noted = await rows("SELECT incident_key, canary, partition FROM incident_visibility ORDER BY incident_key")
    assert [tuple(row.values()) for row in noted] == [("c1", True, 0), ("c2", True, 2), ("live", False, 0)]
    assert (counted("incident") - before[0], counted("canary") - before[1]) == (1, 2)
    assert {row["service"] for row in await rows("SELECT service FROM incidents")} == {"checkout"}
    assert await rows("SELECT service FROM services") == [{"service": "checkout"}]
    assert await rows("SELECT count(*) FROM events") == [{"count": 1}]
    database = Database(view_url)
    seen = await ViewSightings(database).read()
    await database.close()
    assert (seen.incidents.incidents, seen.canary.incidents) == (1, 2)
    assert 4 <= (seen.incidents.p50 or 0) < 30
    assert 1 <= (seen.canary.p50 or 0) <= (seen.canary.p99 or 0) < 30
    assert seen.newest.keys() == {0, 2}


async def test_a_view_that_is_built_anew_shows_nothing_for_the_first_time(fill: Fill, rows: Rows, store: Store) -> None:
    """Neither a rebuild nor a repeat changes a figure; a later version of an incident is none either."""
    log = log_of_all()
    await fill(log)
    before, noted = (counted("incident"), counted("canary")), await rows("SELECT * FROM incident_visibility ORDER BY 1")

    await rows(f"TRUNCATE {', '.join(_EMPTIED)}")
    await fill(log)
    log.incidents(opened(4, "live", 9))
    await fill(log)
    await store.keep_up(7)

    assert (counted("incident"), counted("canary")) == before
    assert await rows("SELECT * FROM incident_visibility ORDER BY 1") == noted
    assert len(await rows("SELECT FROM incidents")) == 4


async def test_old_rows_go(fill: Fill, rows: Rows, store: Store) -> None:
    """A day and an hour after it opened, a row is of no use."""
    await fill(log_of_all())
    await rows("UPDATE incident_visibility SET opened_at = now() - interval '26 hours' WHERE incident_key = 'c1'")

    await store.keep_up(7)

    assert len(await rows("SELECT FROM incident_visibility")) == 2


async def test_a_record_that_is_none_is_left_out(fill: Fill, rows: Rows) -> None:
    """It is counted as unreadable, as in any topic, and those behind it are read."""
    log = Log()
    log.append(CANARY, b"{}")
    log.canaries(opened(1, "c1", service=SERVICE))

    await fill(log)

    assert len(await rows("SELECT FROM incident_visibility")) == 1


async def test_the_api_tells_sight_without_asking_a_process(fill: Fill, serve: Serve, view_settings: Settings) -> None:
    """The route that pages ask: latencies, and null where no canary is sent."""
    await fill(log_of_all())
    api: httpx2.AsyncClient = await serve(view_settings)

    async def told() -> dict[str, Any]:
        found: dict[str, Any] = (await api.get("/api/v1/pipeline/visibility")).json()
        return found if found["canary"]["incidents"] else {}

    found = await eventually(told, what="a look at the view")
    assert (found["blind"], found["incidents"]["incidents"], found["canary"]["incidents"]) == (None, 1, 2)
    watched = await serve(view_settings.model_copy(update={"canary_interval": 60}))
    assert (await watched.get("/api/v1/pipeline/visibility")).json()["blind"] is False
