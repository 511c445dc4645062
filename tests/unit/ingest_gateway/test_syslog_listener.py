"""SYSLOG_PORT with real sockets over a log in memory: nothing is lost in it, and nothing holds more than its bound."""

import asyncio
import json
import logging
import logging.handlers
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import uvloop
from prometheus_client import REGISTRY

from ingest_gateway import syslog_listener
from ingest_gateway.event_log import NotWritten, OutcomeUnknown
from ingest_gateway.memory_log import MemoryEventLog
from ingest_gateway.syslog_listener import SyslogListener
from runtime.settings import load_settings
from tests.support.ports import free_port
from tests.support.waiting import eventually

LINE = b"<11>1 2026-01-01T00:00:00Z web-3 shop 7 - - it broke"
AWAY = NotWritten("the broker is away")


@pytest.fixture(autouse=True)
def _short_last_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Senders of these tests do not end when they are told to."""
    monkeypatch.setattr(syslog_listener, "LAST_WORDS_SECONDS", 0.05)


class Running:
    """A listener, its port and its log."""

    def __init__(self, listener: SyslogListener, log: MemoryEventLog, port: int) -> None:
        self.listener, self.log, self.port = listener, log, port

    @property
    def events(self) -> list[dict[str, Any]]:
        """All that is in the log."""
        records = [json.loads(value) for lane in self.log.partitions.values() for _, value in lane]
        return [event for record in records for event in (record if isinstance(record, list) else [record])]

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A sender."""
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def send(self, octets: bytes) -> None:
        """As one sender that ends its connection, and waits until the gateway has done so too."""
        reader, writer = await self.connect()
        writer.write(octets)
        writer.write_eof()
        assert await reader.read() == b""
        await _close(writer)

    async def wait_for(self, count: int) -> list[dict[str, Any]]:
        """The events, once there are so many."""

        async def arrived() -> bool:
            return len(self.events) >= count

        await eventually(arrived, what=f"{count} events")
        return self.events


@asynccontextmanager
async def _running(grace: float = 5.0) -> AsyncIterator[Running]:
    log, port = MemoryEventLog(), free_port()
    listener = SyslogListener(load_settings(_env_file=None, syslog_port=port), log)
    await listener.start()
    try:
        yield Running(listener, log, port)
    finally:
        await listener.stop(grace)


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    """A listener that listens."""
    async with _running() as started:
        yield started


def _lost(reason: str) -> float:
    return REGISTRY.get_sample_value("ops_gateway_syslog_lost_total", {"reason": reason}) or 0.0


def _counted(*messages: bytes) -> bytes:
    return b"".join(b"%d %b" % (len(message), message) for message in messages)


@pytest.mark.parametrize(
    "octets", [_counted(LINE, LINE), LINE + b"\n" + LINE + b"\n", LINE + b"\r\n" + LINE, LINE + b"\0" + LINE]
)
async def test_what_a_sender_wrote_is_in_the_log(running: Running, octets: bytes) -> None:
    """In either framing, once; equal messages are two events with ids of their own."""
    await running.send(octets)
    events = await running.wait_for(2)
    assert [(event["service"], event["level"], event["message"]) for event in events] == [
        ("shop", "ERROR", "it broke")
    ] * 2
    assert len({event["id"] for event in events}) == 2


async def test_python_s_own_handler_is_understood(running: Running) -> None:
    """SysLogHandler over TCP ends messages with NUL, and names neither time nor host."""
    address = ("127.0.0.1", running.port)
    handler = await asyncio.to_thread(logging.handlers.SysLogHandler, address, socktype=socket.SOCK_STREAM)
    handler.ident = "billing: "
    for number in range(3):
        record = logging.LogRecord("billing", logging.ERROR, __file__, 1, "invoice %d failed", (number,), None)
        await asyncio.to_thread(handler.emit, record)
    events = await running.wait_for(3)
    handler.close()
    assert [event["message"] for event in events] == ["invoice 0 failed", "invoice 1 failed", "invoice 2 failed"]
    assert {(event["service"], event["level"], event["host"]) for event in events} == {
        ("billing", "ERROR", "127.0.0.1")
    }


async def test_many_messages_keep_their_order(running: Running) -> None:
    """However the network tears them."""
    lines = [b"<14>1 2026-01-01T00:00:00Z web-3 shop - - - number %d" % number for number in range(5_000)]
    await running.send(_counted(*lines))
    events = await running.wait_for(5_000)
    assert [event["message"] for event in events] == [f"number {number}" for number in range(5_000)]


@pytest.mark.parametrize("failure", [AWAY, OutcomeUnknown("the broker did not acknowledge")])
async def test_while_the_broker_is_away_the_sender_waits(running: Running, failure: Exception) -> None:
    """It cannot send without end; when the broker is back all of it is there, and what was tried twice has one id."""
    running.log.failure = failure  # type: ignore[assignment]
    _, writer = await running.connect()
    padding = b"x" * 30_000
    lines = [b"<11>1 2026-01-01T00:00:00Z web-3 shop - - - number %d %b" % (n, padding) for n in range(1_000)]
    writer.write(_counted(*lines))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(writer.drain(), 0.3)
    [connection] = running.listener._connections
    assert len(connection._unread) < 1_000_000

    running.log.failure = None
    await writer.drain()
    await _close(writer)

    async def whole() -> bool:
        return len({event["id"] for event in numbered()}) == 1_000

    def numbered() -> list[dict[str, Any]]:
        return [event for event in running.events if event["message"].startswith("number")]

    await eventually(whole, what="a thousand events")
    assert list(dict.fromkeys(event["message"].split()[1] for event in numbered())) == [
        str(number) for number in range(1_000)
    ]


def test_the_gateway_s_own_loop_does_the_same() -> None:
    """The gateway runs on uvloop, whose transports are no subclass of asyncio's."""

    async def story() -> None:
        async with _running() as running:
            await running.send(_counted(*[LINE] * 3_000))
            assert len(running.events) == 3_000
            await test_while_the_broker_is_away_the_sender_waits(running, AWAY)
        async with _running() as running:
            await test_a_stop_writes_what_was_read(running)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(story())


async def test_a_stop_writes_what_was_read(running: Running) -> None:
    """Also where the broker comes back only meanwhile."""
    running.log.failure = AWAY
    reader, writer = await running.connect()
    writer.write(_counted(*[LINE] * 50))
    await _until_read(running)
    stopping = asyncio.create_task(running.listener.stop(5))
    await asyncio.sleep(0)
    running.log.failure = None
    await stopping
    assert len(running.events) == 50
    assert await reader.read() == b""
    with pytest.raises(ConnectionRefusedError):
        await running.connect()
    await _close(writer)


async def test_a_stop_reads_what_was_sent_before_the_sender_knew(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Megabytes in the sockets: the sender is told, ends, and all that it wrote until then is in the log."""
    monkeypatch.setattr(syslog_listener, "LAST_WORDS_SECONDS", 10.0)
    running.log.failure = AWAY
    reader, writer = await running.connect()
    writer.write(_counted(*[LINE + b"x" * 1_000] * 5_000))
    await _until_read(running)
    stopping = asyncio.create_task(running.listener.stop(10))
    assert await reader.read() == b""
    running.log.failure = None
    writer.write_eof()
    await stopping
    assert len(running.events) == 5_000
    await _close(writer)


async def test_a_stop_without_a_broker_counts_what_it_loses() -> None:
    """Within its time."""
    before = _lost("unwritten")
    async with _running(grace=0.2) as running:
        running.log.failure = AWAY
        _, writer = await running.connect()
        writer.write(_counted(*[LINE] * 50))
        await _until_read(running)
    await _close(writer)
    assert (running.events, _lost("unwritten") - before) == ([], 50)


async def test_what_is_no_framing_is_broken_off(running: Running) -> None:
    """And counted; what came before it is kept."""
    before = _lost("framing")
    reader, writer = await running.connect()
    writer.write(_counted(LINE) + b"no count here")
    assert await reader.read() == b""
    await _close(writer)
    assert (len(running.events), _lost("framing") - before) == (1, 1)


async def test_a_message_that_never_came_whole_is_counted(running: Running) -> None:
    """Its sender was cut off, and knows."""
    before = _lost("incomplete")
    await running.send(_counted(LINE)[:-3])
    assert (running.events, _lost("incomplete") - before) == ([], 1)


async def test_a_message_that_is_too_long_is_cut_and_counted(running: Running) -> None:
    """The next one is whole again."""
    before = _lost("cut")
    await running.send(_counted(LINE + b"x" * 100_000, LINE))
    events = await running.wait_for(2)
    assert ["is_cut" in event["attributes"] for event in events] == [True, False]
    assert _lost("cut") - before == 1


async def test_there_are_only_so_many_connections(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more is refused and counted, until one of them has been silent for long enough to make room."""
    monkeypatch.setattr(syslog_listener, "MAX_CONNECTIONS", 2)
    before = _lost("no_room")
    senders = [await running.connect() for _ in range(2)]
    for reader, writer in senders:
        del reader
        writer.write(LINE + b"\n")
    await running.wait_for(2)
    with pytest.raises(OSError):  # noqa: PT011 - a reset, or an end at once
        await _refused(running)
    assert _lost("no_room") - before == 1

    monkeypatch.setattr(syslog_listener, "IDLE_SECONDS", 0.0)
    await running.send(LINE)
    await running.wait_for(3)
    assert await senders[0][0].read() == b""
    senders[1][1].write(LINE + b"\n")
    await running.wait_for(4)
    for _, writer in senders:
        await _close(writer)


async def _refused(running: Running) -> None:
    reader, writer = await running.connect()
    try:
        if await reader.read() == b"":
            raise ConnectionResetError
    finally:
        await _close(writer)


async def test_a_port_that_is_taken_is_said_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP is served all the same, so the start goes on."""
    monkeypatch.setattr(syslog_listener, "_BIND_SECONDS", 0.01)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        listener = SyslogListener(load_settings(_env_file=None, syslog_port=port), MemoryEventLog())
        await listener.start()
        assert await listener.check() == (
            f"cannot listen on 127.0.0.1:{port} (Address already in use); set SYSLOG_HOST or SYSLOG_PORT"
        )

    async def listens() -> bool:
        return await listener.check() is None

    await eventually(listens, what="the port")
    await listener.stop(1)


async def test_without_a_port_nothing_listens() -> None:
    """The default."""
    listener = SyslogListener(load_settings(_env_file=None), MemoryEventLog())
    await listener.start()
    assert (listener.is_wanted, listener._server, await listener.check()) == (False, None, None)
    await listener.stop(1)


async def _until_read(running: Running) -> None:
    async def is_read() -> bool:
        return any(connection.under_way for connection in running.listener._connections)

    await eventually(is_read, what="messages under way")


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()
