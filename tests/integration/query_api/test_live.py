"""Server-sent events: one per change, resumed without a gap, ended quickly."""

import asyncio
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import httpx2
import msgspec
import pytest

from query_api.app import create_app
from query_api.database import Database, connect
from query_api.live import Listener, Live
from runtime.health import server
from runtime.settings import Settings
from tests.integration.query_api.conftest import Serve, _served
from tests.integration.query_api.running import has_started
from tests.support.waiting import eventually
from tests.unit.query_api.view_records import Fill, Log, Rows, analysis, incident

STREAM = "/api/v1/incidents/stream"


class Seen(NamedTuple):
    """What of a server-sent event matters here."""

    name: str
    id: str
    key: str
    change: str


@asynccontextmanager
async def _following(api: httpx2.AsyncClient, last_event_id: str | None = None) -> AsyncIterator[AsyncIterator[Seen]]:
    headers = {} if last_event_id is None else {"Last-Event-ID": last_event_id}
    async with api.stream("GET", STREAM, headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.aiter_lines()
        assert await anext(lines) == ": connected"
        yield _events(lines)


async def _events(lines: AsyncIterator[str]) -> AsyncIterator[Seen]:
    fields: dict[str, str] = {}
    async for line in lines:
        if not line and "event" in fields:
            data = msgspec.json.decode(fields["data"])
            yield Seen(fields["event"], fields.get("id", ""), data.get("key", ""), data.get("change", ""))
            fields = {}
        name, _, value = line.partition(": ")
        fields[name] = value


async def _take(events: AsyncIterator[Seen], count: int) -> list[Seen]:
    async with asyncio.timeout(10):
        return [await anext(events) for _ in range(count)]


async def _ready(api: httpx2.AsyncClient) -> None:
    async def answers() -> bool:
        async with api.stream("GET", STREAM) as answer:
            return answer.status_code == 200

    await eventually(answers, what="the stream")


async def test_one_event_per_change(api: httpx2.AsyncClient, fill: Fill) -> None:
    """An incident that opens, grows and is analysed is told three times, in that order."""
    await _ready(api)
    log = Log()
    async with _following(api) as events:
        log.incidents(incident("k1"))
        await fill(log)
        log.incidents(incident("k1", 6))
        await fill(log)
        log.analyses(analysis("k1"))
        await fill(log)

        seen = await _take(events, 3)

    assert [(event.name, event.key, event.change) for event in seen] == [
        ("incident", "k1", "opened"),
        ("incident", "k1", "updated"),
        ("incident", "k1", "analyzed"),
    ]


async def test_resume_has_no_gap_and_no_repeat(api: httpx2.AsyncClient, fill: Fill) -> None:
    """Who comes back with the last id gets what was missed, then what is new."""
    await _ready(api)
    log = Log()
    async with _following(api) as events:
        log.incidents(incident("k1"))
        await fill(log)
        (first,) = await _take(events, 1)
    for number in range(2, 5):
        log.incidents(incident(f"k{number}"))
        await fill(log)

    async with _following(api, first.id) as events:
        log.incidents(incident("k5"))
        await fill(log)
        seen = await _take(events, 4)

    assert [event.key for event in seen] == ["k2", "k3", "k4", "k5"]
    assert [int(event.id) for event in seen] == sorted({int(event.id) for event in seen})


@pytest.mark.parametrize("last_id", ["1", "999999", "nonsense"])
async def test_resume_that_would_have_a_gap_says_so(
    api: httpx2.AsyncClient, fill: Fill, rows: Rows, last_id: str
) -> None:
    """Changes that were forgotten, or never were, mean: read everything anew."""
    await _ready(api)
    log = Log()
    async with _following(api) as events:
        for number in range(3):
            log.incidents(incident(f"k{number}"))
            await fill(log)
        await _take(events, 3)
    await rows("DELETE FROM changes WHERE id < 3")

    async with _following(api, last_id) as events:
        (seen,) = await _take(events, 1)

    assert seen.name == "reset"


async def test_streams_go_on_after_the_connection_was_cut(api: httpx2.AsyncClient, fill: Fill, rows: Rows) -> None:
    """A change made while the API had lost PostgreSQL is told once it is back."""
    await _ready(api)
    log = Log()
    async with _following(api) as events:
        await rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE 'LISTEN%'"
        )
        log.incidents(incident("k1"))
        await fill(log)

        assert [event.key for event in await _take(events, 1)] == ["k1"]


async def test_slow_reader_is_dropped_and_others_are_not(view_url: str, fill: Fill) -> None:
    """Nobody is buffered for without bound: a thousand waiting changes end the stream."""
    database = Database(view_url)
    live = Live(database)
    live.start()
    connection = await connect(view_url)
    try:
        await eventually(lambda: _knows_its_end(live), what="the change log")
        slow = live.listen()
        log = Log()
        log.incidents(incident("k1"))
        await fill(log)
        await connection.execute(
            "INSERT INTO changes (incident_id, kind) SELECT 1, 'updated' FROM generate_series(1, 1100)"
        )
        await connection.execute("NOTIFY ops_incidents")
        await eventually(lambda: _is_dropped(live, slow), what="the end of the slow reader's stream")
        assert [message async for message in slow.messages()] == []
        assert len([message async for message in live.missed(0, 1_101)]) == 1_101
    finally:
        await connection.close()
        await live.stop()
        await database.close()


async def test_five_hundred_open_streams(serve: Serve, view_settings: Settings, fill: Fill) -> None:
    """One process serves them all: each gets every change, and nothing is left of them when their clients are gone."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4_096)), hard))  # both ends are in this process
    api = await serve(view_settings)
    await _ready(api)
    port = api.base_url.port
    assert port is not None
    async with asyncio.timeout(60):
        streams = await asyncio.gather(*(_raw_stream(port) for _ in range(500)))
        log = Log()
        for number in range(3):
            log.incidents(incident(f"k{number}"))
            await fill(log)
        seen = await asyncio.gather(*(_raw_keys(reader, 3) for reader, _ in streams))
        for _, writer in streams:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for _, writer in streams), return_exceptions=True)
        assert (await api.get("/health")).status_code == 200

    assert seen == [["k0", "k1", "k2"]] * 500


async def _raw_stream(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {STREAM} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert b"200" in await reader.readline()
    await reader.readuntil(b": connected")
    return reader, writer


async def _raw_keys(reader: asyncio.StreamReader, count: int) -> list[str]:
    keys: list[str] = []
    while len(keys) < count:
        line = await reader.readline()
        if line.startswith(b"data: "):
            keys.append(msgspec.json.decode(line.removeprefix(b"data: "))["key"])
    return keys


async def test_resume_after_the_api_was_started_anew(view_settings: Settings, fill: Fill) -> None:
    """Changes made while no API runs at all are told to whoever comes back with the last id."""
    log = Log()
    last = None
    for round_ in range(3):
        async with _served(view_settings, {}) as api:
            await _ready(api)
            async with _following(api, last) as events:
                log.incidents(incident(f"open-{round_}"))
                await fill(log)
                seen = await _take(events, 1 if last is None else 2)
                last = seen[-1].id
        assert [event.key for event in seen] == [f"away-{round_ - 1}"] * bool(round_) + [f"open-{round_}"]
        log.incidents(incident(f"away-{round_}"))
        await fill(log)


async def _knows_its_end(live: Live) -> bool:
    return live._last is not None


async def _is_dropped(live: Live, listener: Listener) -> bool:
    return listener not in live._listeners


async def test_open_streams_do_not_hold_the_stop(view_settings: Settings) -> None:
    """A server that is told to stop ends its streams and is gone within two seconds."""
    http = server(create_app(view_settings), view_settings, 0)
    serving = asyncio.create_task(http.serve())
    await eventually(lambda: has_started(http), what="the start")
    port = http.servers[0].sockets[0].getsockname()[1]
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as api:
        await _ready(api)
        async with _following(api) as events:
            http.should_exit = True
            async with asyncio.timeout(2):
                await serving
            assert [event async for event in events] == []
