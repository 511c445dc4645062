"""SYSLOG_PORT: takes syslog over TCP while the gateway runs, within bounds, and ends with it."""

import asyncio
import socket
from typing import Final

import structlog

from ingest_gateway.event_log import EventLog
from ingest_gateway.syslog_connection import SyslogConnection
from runtime.metrics import SYSLOG_CONNECTIONS
from runtime.settings import Settings

log = structlog.get_logger(__name__)

MAX_CONNECTIONS: Final = 200
"""At once; each holds at most some 400 KiB."""
IDLE_SECONDS: Final = 60.0
"""Silence after which a connection makes room for a new one, where there is no other room.

Before that none is ended for silence: senders such as rsyslog notice the end only at their next message, and lose it.
"""
LAST_WORDS_SECONDS: Final = 1.0
"""How long senders are read that have been told of a stop."""
_BIND_SECONDS: Final = 2.0
_PROBE_AFTER, _PROBE_EVERY, _PROBES = 60, 15, 4
"""Seconds of silence until TCP asks whether the sender is still there, and how often: gone hosts go in two minutes."""


class SyslogListener:
    """Listens where the settings say, or nowhere.

    Args:
        settings: SYSLOG_PORT, SYSLOG_HOST.
        event_log: where events go.
    """

    def __init__(self, settings: Settings, event_log: EventLog) -> None:
        self._host, self._port = settings.syslog_host or settings.host, settings.syslog_port
        self._log = event_log
        self._connections: dict[SyslogConnection, None] = {}
        self._server: asyncio.Server | None = None
        self._binder: asyncio.Task[None] | None = None
        self._outage: str | None = None
        self._is_closed = False

    @property
    def is_wanted(self) -> bool:
        """Whether the settings name a port."""
        return self._port != 0

    async def start(self) -> None:
        """Listen; where the port is taken, HTTP is served all the same, `check` says it, and it is tried again."""
        if self.is_wanted and not await self._listen():
            self._binder = asyncio.create_task(self._keep_trying())

    async def check(self) -> str | None:
        """None while it listens as it should, else a sentence."""
        return self._outage

    def close(self) -> None:
        """Take no new connections, and tell the senders; what they have sent until then is still read and written."""
        self._is_closed = True
        if self._binder is not None:
            self._binder.cancel()
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.hang_up(LAST_WORDS_SECONDS)

    async def stop(self, grace: float) -> None:
        """Close, where that was not done yet, and give what was read `grace` seconds to be written."""
        if not self._is_closed:
            self.close()
        tasks = [connection.task for connection in self._connections if connection.task]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def joined(self, connection: SyslogConnection) -> bool:
        """Whether there is room for one more; the one that has been silent longest may have to make it."""
        if len(self._connections) >= MAX_CONNECTIONS:
            now = asyncio.get_running_loop().time()
            silent = min(self._connections, key=lambda other: other.heard_at)
            if now - silent.heard_at < IDLE_SECONDS or silent.under_way:
                return False
            silent.finish()
            del self._connections[silent]
        self._connections[connection] = None
        SYSLOG_CONNECTIONS.set(len(self._connections))
        return True

    def left(self, connection: SyslogConnection) -> None:
        """A connection is over."""
        self._connections.pop(connection, None)
        SYSLOG_CONNECTIONS.set(len(self._connections))

    async def _keep_trying(self) -> None:
        await asyncio.sleep(_BIND_SECONDS)
        if not await self._listen():
            self._binder = asyncio.create_task(self._keep_trying())

    async def _listen(self) -> bool:
        loop, was_out = asyncio.get_running_loop(), self._outage is not None
        try:
            self._server = await loop.create_server(self._connection, sock=_socket(self._host, self._port))
            self._outage = None
        except OSError as error:
            where, reason = f"{self._host}:{self._port}", str(error.strerror).partition(" (while")[0]
            self._outage = f"cannot listen on {where} ({reason}); set SYSLOG_HOST or SYSLOG_PORT"
        if self._outage is not None:
            if not was_out:
                log.error("syslog_not_listening", reason=self._outage)
            return False
        log.info("syslog_listening", host=self._host, port=self._port)
        return True

    def _connection(self) -> SyslogConnection:
        return SyslogConnection(self._log, self)


def _socket(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=128)
    # Connections inherit these from the socket that they were accepted on.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", _PROBE_AFTER), ("TCP_KEEPINTVL", _PROBE_EVERY), ("TCP_KEEPCNT", _PROBES)):
        if hasattr(socket, name):
            listener.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return listener
