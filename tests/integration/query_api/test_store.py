"""Batches into PostgreSQL: the same view whatever was delivered twice, late or in another order."""

import asyncio
from itertools import pairwise, permutations

import pytest

from query_api.materializer.batch import Source
from query_api.materializer.rows import Record
from query_api.materializer.store import Outrun, Store
from schemas.codec import encode
from schemas.incident import AttachedEvent, Change
from schemas.topics import INCIDENTS
from tests.unit.query_api.view_records import OPENED, START, Fill, Log, Rows, analysis, event, incident

CONFIRMED = Change(START + 20, "ada", "status_changed", "by hand", "open", "investigating", change_id="c1")
REFUSED = Change(START + 20, "ada", "status_refused", "it is closed", "closed", "closed", change_id="c1")


def _everything() -> Log:
    log = Log()
    log.events(*(event(number) for number in range(6)))
    log.incidents(incident(version=5), incident(version=6, event_count=6))
    log.links("k1", *(AttachedEvent(number, 0, START + number) for number in range(6)))
    log.analyses(analysis())
    return log


async def _contents(rows: Rows) -> list[object]:
    tables = ("incidents", "analyses", "events", "incident_events", "consumer_offsets")
    return [await rows(f"SELECT * FROM {table} ORDER BY 1, 2, 3") for table in tables]


async def test_records_twice_are_one(fill: Fill, rows: Rows) -> None:
    """Reading the topics again from their start changes nothing."""
    log = _everything()
    await fill(log)
    before = await _contents(rows)
    await rows("UPDATE consumer_offsets SET next_offset = 0")

    await fill(log)

    assert await _contents(rows) == before
    assert len(await rows("SELECT FROM events")) == 6


async def test_stopping_in_the_middle_loses_nothing(store: Store, rows: Rows) -> None:
    """A view that is filled record by record, with a new writer each time, is that of one batch."""
    log = _everything()
    for source, records in log.records.items():
        for record in records:
            positions = await store.positions([source])
            one = Log()
            one.records[source] = [record]
            await store.apply(one.batch(positions))
            await store.close()

    (shown,) = await rows("SELECT version, event_count, summary, severity FROM incidents")

    assert shown == {"version": 6, "event_count": 6, "summary": "The pool is exhausted.", "severity": "P2"}
    assert len(await rows("SELECT FROM incident_events JOIN events USING (partition, record_offset, idx)")) == 6


async def test_batch_of_somebody_who_was_outrun_is_refused(store: Store, view_url: str, rows: Rows) -> None:
    """After a rebalance the one who was slower writes nothing: its batch starts from where the view no longer is."""
    log = Log()
    log.incidents(incident(version=5))
    stale = log.batch(await store.positions(log.records))
    other = Store(view_url)
    await other.apply(log.batch(await other.positions(log.records)))
    await other.close()

    with pytest.raises(Outrun):
        await store.apply(stale)

    assert len(await rows("SELECT FROM changes")) == 1


@pytest.mark.parametrize("order", list(permutations((5, 6, 7))))
async def test_greatest_version_wins(fill: Fill, rows: Rows, order: tuple[int, ...]) -> None:
    """Versions that come in any order, each in a batch of its own, end in the greatest."""
    log = Log()
    for version in order:
        log.incidents(incident(version=version, event_count=version))
        await fill(log)

    assert await rows("SELECT id, version, event_count FROM incidents") == [{"id": 1, "version": 7, "event_count": 7}]


async def test_ids_have_no_gaps(fill: Fill, rows: Rows) -> None:
    """Ids run in the order of first appearance, and neither updates nor repeats use any up."""
    log = Log()
    for number in range(3):
        log.incidents(incident(f"k{number}"), incident(f"k{number}", 6))
        await fill(log)
        log.incidents(incident(f"k{number}", 7))
        await fill(log)

    found = await rows("SELECT id, key FROM incidents ORDER BY id")

    assert [tuple(row.values()) for row in found] == [(1, "k0"), (2, "k1"), (3, "k2")]


async def test_analysis_may_come_first(fill: Fill, rows: Rows) -> None:
    """An analysis that is there before its incident's record shows as soon as the incident does."""
    log = Log()
    log.analyses(analysis())
    await fill(log)
    log.incidents(incident())
    await fill(log)

    (shown,) = await rows("SELECT category, summary, analysis_status FROM incidents")

    assert shown == {"category": "database_issue", "summary": "The pool is exhausted.", "analysis_status": "done"}


async def test_incident_without_analysis_has_sensible_texts(fill: Fill, rows: Rows) -> None:
    """Before the analysis, clients get the record's own reason and no category."""
    log = Log()
    log.incidents(incident())
    await fill(log)

    (shown,) = await rows("SELECT category, severity, summary, recommended_actions, analysis_status FROM incidents")

    assert tuple(shown.values()) == ("other", "P3", "5 events of checkout within 300 s", [], "pending")


async def test_older_analysis_changes_nothing(fill: Fill, rows: Rows) -> None:
    """Of two analyses the greater revision counts, whichever comes last."""
    log = Log()
    log.incidents(incident())
    log.analyses(analysis(revision=2, summary="new", request_id="r1"))
    await fill(log)
    log.analyses(analysis(revision=1, summary="old"))
    await fill(log)

    assert await rows("SELECT summary FROM incidents") == [{"summary": "new"}]
    assert await rows("SELECT kind FROM changes") == [{"kind": "opened"}]


async def test_severity_never_falls_below_the_rules_floor(fill: Fill, rows: Rows) -> None:
    """An analysis may raise the severity above the floor of the rule, not lower it."""
    log = Log()
    log.incidents(incident("k1", severity_floor="P1"), incident("k2", severity_floor="P3"))
    log.analyses(analysis("k1"), analysis("k2"))
    await fill(log)

    found = await rows("SELECT key, severity FROM incidents ORDER BY key")

    assert [row["severity"] for row in found] == ["P1", "P2"]


async def test_first_arrival_of_an_event_id_is_kept(fill: Fill, rows: Rows) -> None:
    """The same id of the same service counts once; of another service it is another event."""
    log = Log()
    log.events(event(1, message="first"), event(1, message="second"), event(1, service="cart", message="other"))
    await fill(log)

    found = await rows("SELECT service, message FROM events ORDER BY record_offset")

    assert [tuple(row.values()) for row in found] == [("checkout", "first"), ("cart", "other")]


async def test_merged_incident_gives_its_events_away(fill: Fill, rows: Rows) -> None:
    """Links of an incident that became part of another move there, through any number of merges, early or late."""
    log = Log()
    log.incidents(incident("a"), incident("b"), incident("c"))
    log.links("a", AttachedEvent(1, 0, START))
    await fill(log)
    log.incidents(incident("a", 6, merged_into="b"))
    await fill(log)
    log.incidents(incident("b", 6, merged_into="c"))
    log.links("a", AttachedEvent(2, 0, START))
    await fill(log)
    log.links("a", AttachedEvent(3, 0, START))
    await fill(log)

    assert {row["incident_key"] for row in await rows("SELECT * FROM incident_events")} == {"c"}


@pytest.mark.parametrize("entry", [CONFIRMED, REFUSED], ids=["confirmed", "refused"])
async def test_pending_status_ends_with_its_change(fill: Fill, rows: Rows, entry: Change) -> None:
    """What the view showed ahead of the processor gives way once the record tells of that change."""
    log = Log()
    log.incidents(incident())
    await fill(log)
    await rows("UPDATE incidents SET pending_status = 'investigating', pending_change_id = 'c1'")
    log.incidents(incident(version=6))
    await fill(log)
    assert await rows("SELECT status FROM incidents") == [{"status": "investigating"}]

    log.incidents(incident(version=7, status="closed", timeline=[OPENED, entry]))
    await fill(log)

    (shown,) = await rows("SELECT status, pending_status, pending_change_id FROM incidents")
    assert tuple(shown.values()) == ("closed", None, None)


async def test_change_ids_are_committed_in_order(view_url: str) -> None:
    """Many writers at once never commit a smaller change id after a greater one was seen."""
    seen: list[list[int]] = []

    async def write(partition: int) -> None:
        store = Store(view_url)
        for number in range(20):
            log = Log()
            log.records[Source(INCIDENTS, partition)] = [_record(f"k{partition}-{number}", partition, number)]
            await store.apply(log.batch(await store.positions(log.records)))
        await store.close()

    async def watch() -> None:
        store = Store(view_url)
        connection = await store._connected()
        while not seen or len(seen[-1]) < 80:
            seen.append([row["id"] for row in await connection.fetch("SELECT id FROM changes ORDER BY id")])
        await store.close()

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        group.create_task(watch())
        for partition in range(4):
            group.create_task(write(partition))

    assert all(later[: len(earlier)] == earlier for earlier, later in pairwise(seen))


def _record(key: str, partition: int, offset: int) -> Record:
    return Record(INCIDENTS, partition, offset, START // 1_000, encode(incident(key)))


async def test_whose_answer_an_analysis_is_and_what_it_cost_is_kept(fill: Fill, rows: Rows) -> None:
    """Analyses of before these fields count as their own and as free."""
    log = Log()
    log.analyses(analysis(shared_with="k0", input_tokens=7, output_tokens=3, attempts=2), analysis("k2"))
    await fill(log)

    found = await rows("SELECT shared_with, input_tokens, output_tokens, attempts FROM analyses ORDER BY incident_key")

    assert [tuple(row.values()) for row in found] == [("k0", 7, 3, 2), (None, 0, 0, 0)]
