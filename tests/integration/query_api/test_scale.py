"""What makes large views quick must not make them wrong: counts, deep pages and retention against naive answers."""

import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any, get_args

import asyncpg
import httpx2
import pytest
from alembic import command
from sqlalchemy import Connection, text

from query_api.filters import SORTS
from query_api.materializer.partitions import BEFORE, name_of
from query_api.materializer.store import Store
from query_api.materializer.upkeep import keep_up
from query_api.migrate import _engine, alembic_config, migrate
from schemas.analysis import Severity
from schemas.correction import Correction
from schemas.incident import AttachedEvent
from schemas.lifecycle import STATUSES
from schemas.timestamps import MICROSECONDS
from tests.unit.query_api.view_records import START, Fill, Log, Rows, analysis, event, incident

INCIDENTS = "/api/v1/incidents"
HOUR = 3_600 * MICROSECONDS
COUNT = 1_300
"""More than pages that are reached without the help of the counts (500), on both halves."""


@pytest.fixture
async def many(fill: Fill) -> None:
    """Incidents of all kinds over some weeks, many at equal times, in two versions, some merged, some analysed."""
    chance = random.Random(5)
    log = Log()
    for version in (5, 6):
        for number in range(COUNT):
            log.incidents(
                incident(
                    f"k{number}", version, service=f"s{number % 3}", status=chance.choice(STATUSES),
                    created_at=START + (number // 3) * HOUR, last_event_at=START + chance.randrange(50) * HOUR,
                    event_count=chance.randrange(20), merged_into="k0" if version == 6 and number % 10 == 9 else None,
                )
            )  # fmt: skip
        await fill(log)
    log.analyses(
        *(
            analysis(f"k{number}", severity=chance.choice(get_args(Severity)), category="disk_issue")
            for number in range(0, COUNT, 2)
        )
    )
    log.corrections(
        *(
            Correction(f"c{number}", f"k{number}", "ada", START, severity=None if number % 21 == 0 else "P1")
            for number in range(0, COUNT, 7)
        )
    )
    await fill(log)


async def _everything(rows: Rows) -> list[dict[str, Any]]:
    return await rows(
        "SELECT i.*, c.severity IS NOT NULL AS corrected FROM incidents i"
        " LEFT JOIN corrections c ON c.incident_key = i.key WHERE merged_into IS NULL"
    )


FILTERS = [
    {},
    {"status_filter": "open"},
    {"service": "s1"},
    {"severity": "P1", "category": "disk_issue"},
    {"status_filter": "closed", "service": "s2"},
    {"since": "2023-11-20T05:00:00Z"},
    {"since": "2023-11-20T05:00:00Z", "until": "2023-11-29T07:30:00Z", "severity": "P3"},
    {"until": "2023-11-21T00:00:00Z"},
    {"since": "2023-11-20T05:00:00Z", "until": "2023-11-20T07:00:00Z"},
    {"since": "2023-11-20T05:00:00Z", "service": "s0"},
    {"corrected": "true"},
    {"corrected": "false", "status_filter": "open"},
    {"corrected": "false", "service": "s1", "since": "2023-11-20T05:00:00Z"},
    {"q": "EXHAUSTED"},
    {"q": "s1", "status_filter": "open"},
]


def _matches(row: dict[str, Any], wanted: dict[str, str]) -> bool:
    texts = [row[name].lower() for name in ("summary", "service", "category")]
    tests: dict[str, Callable[[str], bool]] = {
        "status_filter": lambda value: row["status"] == value,
        "service": lambda value: row["service"] == value,
        "severity": lambda value: row["severity"] == value,
        "category": lambda value: row["category"] == value,
        "corrected": lambda value: row["corrected"] == (value == "true"),
        "since": lambda value: row["created_at"] >= datetime.fromisoformat(value),
        "until": lambda value: row["created_at"] < datetime.fromisoformat(value),
        "q": lambda value: any(value.lower() in each for each in texts),
    }
    return all(tests[name](value) for name, value in wanted.items())


@pytest.mark.usefixtures("many")
async def test_totals_and_deep_pages_are_those_of_a_naive_list(api: httpx2.AsyncClient, rows: Rows) -> None:
    """Each filter in the orders by time, at every depth: the same as filtering, sorting and slicing by hand."""
    everything = await _everything(rows)
    for wanted, sort in product(FILTERS, ("-created_at", "created_at", "-event_count")):
        name, descending = sort.removeprefix("-"), sort.startswith("-")
        expected = [row["id"] for row in sorted(
            (row for row in everything if _matches(row, wanted)),
            key=lambda row: (row[name], row["id"]), reverse=descending,
        )]  # fmt: skip
        for skip in (0, 501, 640, 900, len(expected) - 3, len(expected) + 5):
            answer = await api.get(INCIDENTS, params={**wanted, "sort": sort, "skip": max(0, skip), "limit": 7})
            assert answer.headers["x-total-count"] == str(len(expected)), wanted
            assert [item["id"] for item in answer.json()] == expected[max(0, skip) :][:7], (wanted, sort, skip)
            assert ("next" in answer.links) == (max(0, skip) + 7 < len(expected))


@pytest.mark.usefixtures("many")
async def test_counts_are_those_of_a_naive_list(api: httpx2.AsyncClient, rows: Rows) -> None:
    """By status and severity, under every filter: those that the database keeps as those that are counted."""
    everything = await _everything(rows)
    for wanted in FILTERS:
        answer = (await api.get(f"{INCIDENTS}/counts", params=wanted)).json()
        expected = Counter((row["status"], row["severity"]) for row in everything if _matches(row, wanted))
        shown = {(s, each): n for s, by_severity in answer["by_status"].items() for each, n in by_severity.items()}
        assert (answer["total"], {kind: n for kind, n in shown.items() if n}) == (expected.total(), dict(expected))


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("sort", SORTS)
async def test_links_lead_through_the_whole_list_and_back(api: httpx2.AsyncClient, rows: Rows, sort: str) -> None:
    """Following `next` shows every incident once, in order; following `prev` from the end shows them backwards."""
    name = sort.removeprefix("-")
    found = sorted(await _everything(rows), key=lambda row: (row[name], row["id"]), reverse=sort.startswith("-"))
    expected = [row["id"] for row in found]

    pages, url = [], f"{INCIDENTS}?limit=300&sort={sort}"
    while url:
        answer = await api.get(url)
        pages.append([item["id"] for item in answer.json()])
        last, url = answer, answer.links.get("next", {}).get("url", "")
    back = [pages[-1]]
    while "prev" in last.links:
        last = await api.get(last.links["prev"]["url"])
        back.append([item["id"] for item in last.json()])

    assert [each for page in pages for each in page] == expected
    assert back[::-1] == pages


@pytest.mark.usefixtures("many")
async def test_page_after_a_row_is_not_moved_by_what_comes_before_it(api: httpx2.AsyncClient, fill: Fill) -> None:
    """An incident that opens meanwhile neither repeats nor hides a row of the next page."""
    first = await api.get(f"{INCIDENTS}?limit=5")
    log = Log()
    log.incidents(incident("new", created_at=START + 10_000 * HOUR), partition=1)
    await fill(log)
    second = await api.get(first.links["next"]["url"])

    by_hand = await api.get(f"{INCIDENTS}?limit=10&skip=1")
    assert [*first.json(), *second.json()] == by_hand.json()


@pytest.mark.parametrize("path", [INCIDENTS, "/api/v1/events"])
@pytest.mark.parametrize("cursor", ["x", "W10", "WzEsMiwzXQ", "W2ZhbHNlLCJ4IiwxXQ", "%00", "4pyT"])
async def test_cursor_of_nobody_is_422(api: httpx2.AsyncClient, path: str, cursor: str) -> None:
    """A cursor that was not given out for the list is told in a sentence."""
    answer = await api.get(f"{path}?cursor={cursor}")

    assert (answer.status_code, answer.json()["detail"].partition(":")[0]) == (422, "cursor")


async def test_event_links_lead_through_all_and_back(api: httpx2.AsyncClient, fill: Fill) -> None:
    """Also through those of one incident; equal times are told apart by the place in the log."""
    log = Log()
    log.incidents(incident("k1"))
    log.events(*(event(number % 4, id=f"e{number}") for number in range(23)))
    log.links("k1", *(AttachedEvent(n, 0, START + (n % 4) * MICROSECONDS) for n in range(23)))
    await fill(log)
    for query in ("", "&incident_id=1", "&service=checkout&level=ERROR"):
        whole = [item["id"] for item in (await api.get(f"/api/v1/events?limit=100{query}")).json()]
        pages, url = [], f"/api/v1/events?limit=5{query}"
        while url:
            answer = await api.get(url)
            pages.append([item["id"] for item in answer.json()])
            last, url = answer, answer.links.get("next", {}).get("url", "")
        before = await api.get(last.links["prev"]["url"])

        assert (len(whole), [each for page in pages for each in page]) == (23, whole)
        assert [item["id"] for item in before.json()] == pages[-2]


async def test_events_are_kept_for_the_retention_by_receipt(store: Store, fill: Fill, rows: Rows) -> None:
    """An event leaves by the time of its receipt, whatever its own time says, and its link with it."""
    now = datetime.now(UTC)
    log = Log()
    for number, age in enumerate((9, 8.5, 6.5, 0)):
        log.at(now - timedelta(days=age)).events(event(0, id=f"e{number}"))
    log.at(now + timedelta(days=40)).events(event(0, id="ahead"))
    log.links("k1", *(AttachedEvent(number, 0, START) for number in range(5)))
    await fill(log)
    assert {row["p"] for row in await rows("SELECT tableoid::regclass::text AS p FROM events")} >= {"events_other"}

    assert not await store.keep_up(7)

    left = {row["id"]: row["p"] for row in await rows("SELECT id, tableoid::regclass::text AS p FROM events")}
    day = (now - timedelta(days=6.5)).date()
    assert left == {"e2": name_of(day), "e3": name_of(now.date()), "ahead": "events_other"}
    assert {row["record_offset"] for row in await rows("SELECT record_offset FROM incident_events")} == {2, 3, 4}


async def test_partition_goes_when_all_its_events_are_old(store: Store, rows: Rows) -> None:
    """Dropped as a table; the days of a shorter retention are what is left."""
    await store.keep_up(20)
    assert len(await rows("SELECT inhrelid FROM pg_inherits WHERE inhparent = 'events'::regclass")) == 20 + 1 + 2 + 1

    await store.keep_up(2)

    assert len(await rows("SELECT inhrelid FROM pg_inherits WHERE inhparent = 'events'::regclass")) == 2 + 1 + 2 + 1


async def test_migration_keeps_what_was_there(database_url: str) -> None:
    """Events, incidents and ids of the first schema are in the newest, counted, and back again."""
    engine = _engine(database_url)
    async with engine.begin() as connection:
        await connection.run_sync(_go, "0001")
        await connection.execute(text(_OLD_INCIDENTS))
        await connection.execute(text(_OLD_EVENTS))
    await migrate(database_url)

    connection_: Any = await asyncpg.connect(database_url)
    try:
        assert await connection_.fetchval("SELECT count(*) FROM events WHERE received_at = event_time") == 30
        held = await connection_.fetch("SELECT DISTINCT tableoid::regclass::text AS name FROM events")
        assert [row["name"].startswith(BEFORE) for row in held] == [True]
        assert not await keep_up(connection_, 7)
        assert await connection_.fetchval("SELECT count(*) FROM pg_inherits WHERE inhparent = 'events'::regclass") == 4
        assert await connection_.fetchval("SELECT incidents FROM incident_counts WHERE service = ''") == 3
        assert await connection_.fetchval("SELECT max(id) FROM incident_ids") == 7
    finally:
        await connection_.close()
    async with engine.begin() as connection:
        await connection.run_sync(_go, "0001")
        assert (await connection.execute(text("SELECT count(*) FROM events"))).scalar_one() == 30
    await engine.dispose()


_OLD_EVENTS = """
    INSERT INTO events (partition, record_offset, idx, id, service, level, message, event_time)
    SELECT 0, n, 0, 'e' || n, 's', 'ERROR', 'm', now() - make_interval(days => n) FROM generate_series(1, 30) n
"""
_OLD_INCIDENTS = """
    INSERT INTO incidents (
        id, key, version, service, rule, record_status, category, severity, summary, recommended_actions,
        analysis_status, event_count, first_event_at, last_event_at, created_at, updated_at, threshold, window_micros,
        lateness_micros, reason, partition, samples, timeline, minutes)
    SELECT n, 'k' || n, 1, 's', 'r', 'open', 'other', 'P3', 's', '{}', 'pending', 5, now(), now(), now(), now(), 5, 1,
        0, 'r', 0, '[]', '[]', '[]'
    FROM generate_series(5, 7) n
"""


def _go(connection: Connection, revision: str) -> None:
    config = alembic_config()
    config.attributes["connection"] = connection
    known = connection.exec_driver_sql("SELECT to_regclass('alembic_version')").scalar()
    if known:
        command.downgrade(config, revision)
    else:
        command.upgrade(config, revision)
