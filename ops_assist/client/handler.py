"""The handler for `logging`: every record becomes an event, and no log call ever waits, fails or loops for it."""

import logging
import os
import socket
import time
from collections.abc import Mapping
from typing import Final
from weakref import WeakSet

from ops_assist.client.delivery import Delivery
from ops_assist.client.limits import Limits
from ops_assist.client.news import LOGGER, dropped_event, tell_undelivered
from ops_assist.client.record import item_of
from ops_assist.client.sender import Sender
from ops_assist.client.shape import service_name
from ops_assist.client.stats import Stats
from ops_assist.client.transport import Transport

_JUST_NOW: Final = 1.0


class OpsAssistHandler(logging.Handler):
    """Sends records to an Ops-Assist gateway in the background.

    Args:
        service: the name under which incidents of this application open.
        url: the gateway's address.
        level: the lowest level that is sent.
        environment: as `production`; goes with each event.
        host: default: this machine's name.
        headers: sent with every request, as credentials for a proxy.
        limits: how much is held and how it is sent.
        timeout: seconds that one request may wait for data.
        exit_timeout: seconds that `flush`, and so the end of the process, waits for what is queued.

    Raises:
        ValueError: an argument that cannot be used.
    """

    def __init__(
        self,
        service: str,
        url: str = "http://localhost:8000",
        *,
        level: int | str = logging.NOTSET,
        environment: str | None = None,
        host: str | None = None,
        headers: Mapping[str, str] | None = None,
        limits: Limits | None = None,
        timeout: float = 10.0,
        exit_timeout: float = 5.0,
    ) -> None:
        super().__init__(level)
        self._service = service_name(service)
        self._host, self._environment = host or socket.gethostname(), environment
        self._exit_timeout = exit_timeout
        self._gave_up_at: float | None = None
        bounds = limits or Limits()
        self._sender = Sender(
            lambda: Delivery(bounds),
            Transport(url, headers, timeout),
            lambda news: dropped_event(news, self._service, self._host, self._environment),
        )
        _handlers.add(self)

    def createLock(self) -> None:  # noqa: N802 - logging's name
        """None: the end of the process flushes under this lock, for seconds in which log calls would wait for it."""
        self.lock = None

    def handle(self, record: logging.LogRecord) -> bool:
        """Filter and queue, without a lock."""
        passed: logging.LogRecord | bool = self.filter(record)
        if isinstance(passed, logging.LogRecord):  # a filter may put another record in its place, from Python 3.12 on
            record = passed
        if passed:
            self.emit(record)
        return bool(passed)

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a record, or count it as dropped; what fails is reported as logging reports it, and raises nothing."""
        try:
            if self._is_own(record):
                return
            if record.levelno < logging.ERROR and self._sender.is_full:
                self._sender.drop_unseen()
            else:
                self._sender.offer(item_of(record, self._service, self._host, self._environment))
        except Exception:  # noqa: BLE001 - logging must never break the application
            self.handleError(record)

    def _is_own(self, record: logging.LogRecord) -> bool:
        """Whether it speaks of this client itself, which would have it talk to itself for ever."""
        return self._sender.is_this_thread or record.name == LOGGER or record.name.startswith(f"{LOGGER}.")

    @property
    def stats(self) -> Stats:
        """What became of the events, in this process."""
        return self._sender.stats

    def drain(self, timeout: float) -> bool:
        """Wait until the fate of all that is queued is known, at most `timeout` seconds; whether it is."""
        return self._sender.is_this_thread or self._sender.drain(timeout)

    def flush(self) -> None:
        """Wait until all that is queued is sent, at most `exit_timeout` seconds."""
        self._gave_up_at = None if self.drain(self._exit_timeout) else time.monotonic()

    def close(self) -> None:
        """Send what is queued, within `exit_timeout`, and end. `logging` calls it at the end of the process."""
        if self._gave_up_at is None or time.monotonic() - self._gave_up_at > _JUST_NOW:
            self.flush()  # logging calls flush first; an absent gateway is not waited for twice
        self._sender.end()
        if held := self._sender.stats.held:
            tell_undelivered(held, self._exit_timeout)
        _handlers.discard(self)
        super().close()

    def after_fork(self) -> None:
        """Start anew in a forked child: an empty queue, a connection and a thread of its own."""
        self._sender.after_fork()


_handlers: Final[WeakSet[OpsAssistHandler]] = WeakSet()


def _after_fork() -> None:
    for handler in list(_handlers):
        handler.after_fork()


if hasattr(os, "register_at_fork"):  # where there is no fork, there is nothing to do after one
    os.register_at_fork(after_in_child=_after_fork)
