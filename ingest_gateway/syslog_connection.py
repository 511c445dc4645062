"""One connection of SYSLOG_PORT: reads, writes what came to the log, and reads on once the broker has it.

The protocol has no acknowledgement, so back-pressure is all that the sender gets: while the broker does not
acknowledge, nothing is read, the buffers of both sockets fill, and a sender with a queue keeps what it has.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Final, Protocol, cast

import structlog

from ingest_gateway.event_log import EventLog
from ingest_gateway.formats.syslog import Message, read_message
from ingest_gateway.formats.syslog_frames import Frame, Frames
from ingest_gateway.reading import Batch
from ingest_gateway.refusal import Refusal
from ingest_gateway.writing import write_batch
from runtime.metrics import EVENTS_ACCEPTED, SYSLOG_LOST, SYSLOG_MESSAGES
from schemas.identity import uuid7
from schemas.timestamps import now_micros

log = structlog.get_logger(__name__)

for _reason in ("cut", "incomplete", "framing", "unwritten", "no_room"):
    SYSLOG_LOST.labels(_reason)  # each is there from the start, so that its first increase is seen as one

ROUTE: Final = "syslog"
"""How accepted events are counted, beside the routes of HTTP."""
_MOST_UNREAD: Final = 128 * 1024
"""Octets that wait to be framed before reading stops."""
_AT_ONCE: Final = 500
"""Messages read and written at a time: some 15 ms of the loop, which requests share."""
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 2.0
"""Seconds between attempts to write."""


class Connections(Protocol):
    """What knows all connections."""

    def joined(self, connection: "SyslogConnection") -> bool:
        """Whether there is room for this one."""

    def left(self, connection: "SyslogConnection") -> None:
        """This one is over, and all it read is written or counted as lost."""


class SyslogConnection(asyncio.Protocol):
    """Made by the loop for each connection."""

    def __init__(self, event_log: EventLog, connections: Connections) -> None:
        self._log, self._connections = event_log, connections
        self._frames, self._unread = Frames(), bytearray()
        self._framed: Iterator[Frame] = iter(())
        self._news, self._is_over, self._ended_by_sender = asyncio.Event(), False, False
        self._transport: asyncio.Transport | None = None
        self._sender = ""
        self.heard_at = asyncio.get_running_loop().time()
        self.task: asyncio.Task[None] | None = None
        self.under_way = 0
        """Messages that were read and are not acknowledged."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, where there is room."""
        transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class
        self._sender = str((transport.get_extra_info("peername") or ("unknown_host",))[0])
        if not self._connections.joined(self):
            SYSLOG_LOST.labels("no_room").inc()
            log.warning("syslog_refused", sender=self._sender, reason="too many connections")
            transport.abort()
            return
        self._transport = transport
        self.task = asyncio.create_task(self._run())

    def data_received(self, data: bytes) -> None:
        """Keep what came, and stop reading where it is much."""
        if self._transport is None or self._is_over:
            return
        self._unread += data
        self.heard_at = asyncio.get_running_loop().time()
        if len(self._unread) >= _MOST_UNREAD:
            self._transport.pause_reading()
        self._news.set()

    def eof_received(self) -> bool:
        """The sender has said all; the transport stays until that is written."""
        self._ended_by_sender = True
        self.finish()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more comes."""
        del exc
        self.finish()

    def hang_up(self, last_words: float) -> None:
        """Tell the sender that nobody will be here, and read what it has sent until it ends, at most so many seconds.

        A sender such as rsyslog looks before each message whether the other side has ended.
        """
        if self._transport is None or self._is_over or self._transport.is_closing():
            return
        self._transport.write_eof()
        asyncio.get_running_loop().call_later(last_words, self.finish)

    def finish(self) -> None:
        """Read no more; what was read is written."""
        if self._transport is not None and not self._is_over and not self._transport.is_closing():
            self._transport.pause_reading()
        self._is_over = True
        self._news.set()

    async def _run(self) -> None:
        assert self._transport is not None
        try:
            while await self._has_more():
                octets, self._unread = self._unread, bytearray()
                if not self._is_over:
                    self._transport.resume_reading()
                await self._take(octets)
            await self._take_the_rest()
        except asyncio.CancelledError:
            lost = self.under_way + sum(1 for _ in self._framed) + sum(1 for _ in self._frames.feed(self._unread))
            SYSLOG_LOST.labels("unwritten").inc(lost)
            log.error("syslog_unwritten", sender=self._sender, messages=lost)  # noqa: TRY400 - the stack says nothing
            raise
        finally:
            self._transport.close()
            self._connections.left(self)

    async def _has_more(self) -> bool:
        while not self._unread and not self._is_over:
            self._news.clear()
            await self._news.wait()
        return bool(self._unread)

    async def _take(self, octets: bytearray) -> None:
        self._framed = self._frames.feed(octets)
        while some := list(islice(self._framed, _AT_ONCE)):
            await self._write(some)
        if self._frames.fault is not None:
            self.finish()
            self._unread.clear()

    async def _take_the_rest(self) -> None:
        if self._frames.fault is not None:
            SYSLOG_LOST.labels("framing").inc()
            log.warning("syslog_broken_off", sender=self._sender, reason=self._frames.fault)
            return
        within = self._frames.is_within_message
        last = self._frames.end()
        if last is not None and self._ended_by_sender:
            await self._write([last])
        elif within:
            SYSLOG_LOST.labels("incomplete").inc()
            log.warning("syslog_incomplete", sender=self._sender)

    async def _write(self, frames: list[Frame]) -> None:
        now = now_micros()
        messages = [read_message(f.value, self._sender, uuid7(), now, is_cut=f.is_cut) for f in frames]
        self.under_way = len(messages)
        await self._publish(Batch({index: message.event for index, message in enumerate(messages)}, []))
        self.under_way = 0
        _count(frames, messages)

    async def _publish(self, batch: Batch) -> None:
        """Try until the broker has acknowledged; the ids stay, so what is written twice counts once."""
        pause, is_silent = _FIRST_PAUSE, False
        while True:
            try:
                await write_batch(self._log, batch)
                break
            except Refusal as refused:
                if not is_silent:
                    log.warning("syslog_waits", sender=self._sender, reason=refused.detail)
                is_silent = True
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        if is_silent:
            log.info("syslog_goes_on", sender=self._sender)


def _count(frames: list[Frame], messages: list[Message]) -> None:
    EVENTS_ACCEPTED.labels(ROUTE).inc(len(messages))
    for form, count in Counter(message.form for message in messages).items():
        SYSLOG_MESSAGES.labels(form).inc(count)
    SYSLOG_LOST.labels("cut").inc(sum(frame.is_cut for frame in frames))
