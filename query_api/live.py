"""Live changes: one reader of the change log for the process, any number of listeners, none of whom can hold it up."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import asyncpg
import structlog
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from msgspec.json import encode
from sqlalchemy import func
from sqlmodel import col, select

from query_api.database import DRIVER_ERRORS, Database, DatabaseAway, connect
from query_api.materializer.statements import CHANNEL
from query_api.models import ChangeRow, IncidentRow
from query_api.pause import pause
from query_api.views import incident_summary

log = structlog.get_logger(__name__)

KEEPALIVE_SECONDS: Final = 15.0
_QUEUE: Final = 1_000
_PAGE: Final = 500
_POLL_SECONDS: Final = 2.0
_RETRY_SECONDS: Final = 1.0

RESET: Final = format_sse_event(event="reset", data_str="{}")
"""Sent where a resume cannot be without a gap: what the client shows is to be read anew."""


class Listener:
    """One open stream: the changes after `since`, at most a thousand of them waiting."""

    def __init__(self, since: int) -> None:
        self.since = since
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue(_QUEUE)

    def offer(self, message: bytes) -> bool:
        """Put a message in the queue; False where the listener is too slow to be kept."""
        if self._queue.full():
            self.end()
            return False
        self._queue.put_nowait(message)
        return True

    def end(self) -> None:
        """Let the stream end at once; its client comes back and resumes."""
        while not self._queue.empty():
            self._queue.get_nowait()
        self._queue.put_nowait(None)

    async def messages(self) -> AsyncIterator[bytes]:
        """What was offered, and a comment whenever nothing was for a while."""
        while True:
            try:
                async with asyncio.timeout(KEEPALIVE_SECONDS):
                    message = await self._queue.get()
            except TimeoutError:
                message = KEEPALIVE_COMMENT
            if message is None:
                return
            yield message


class Live:
    """Follows the change log from its end and passes on what is committed.

    Ids of changes are committed in their order (their writers take turns), so that "after the last id" misses none.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._last: int | None = None
        self._listeners: set[Listener] = set()
        self._notified = asyncio.Event()
        self._progress = asyncio.Event()
        self.ended = False
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to follow."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End the streams and follow no more."""
        self._stopping.set()
        self._notified.set()
        self.end_streams()
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def end_streams(self) -> None:
        """End every open stream, and those still to come: a server that waits for its answers is to stop."""
        self.ended = True
        self._progress.set()
        for listener in self._listeners:
            listener.end()
        self._listeners.clear()

    def listen(self) -> Listener:
        """A listener for the changes from now on.

        Raises:
            DatabaseAway: where the change log has not been reached yet.
        """
        if self._last is None:
            raise DatabaseAway("the database cannot be reached yet")
        listener = Listener(self._last)
        if self.ended:
            listener.end()
        else:
            self._listeners.add(listener)
        return listener

    def forget(self, listener: Listener) -> None:
        """The stream of this listener has ended."""
        self._listeners.discard(listener)

    async def progress(self, seconds: float) -> None:
        """Wait until something changed, at most `seconds`."""
        await pause(self._progress, seconds)

    async def missed(self, after: int, until: int) -> AsyncIterator[bytes]:
        """The changes with ids after `after` up to `until`; a reset where the log no longer has them all."""
        async with self._database.session() as session:
            oldest: int | None = (await session.exec(select(func.min(col(ChangeRow.id))))).one()
        if after > until or (after < until and (oldest is None or after + 1 < oldest)):
            yield RESET
            return
        while page := await self._page(after, until):
            for change, incident in page:
                yield message_of(change, incident)
            after = page[-1][0].id

    async def _run(self) -> None:
        # Python 3.11's wait_for, which drivers use, can swallow a cancellation or make a TimeoutError of it: the stop
        # is a flag, which the cancellation only makes quicker.
        while not self._stopping.is_set():
            try:
                await self._follow()
            except (DatabaseAway, *DRIVER_ERRORS) as error:
                log.warning("change_log_away", why=str(error))
                await pause(self._stopping, _RETRY_SECONDS)

    async def _follow(self) -> None:
        connection = await connect(self._database.url)
        try:
            connection.add_termination_listener(self._on_notification)
            await connection.add_listener(CHANNEL, self._on_notification)
            end = await connection.fetchval("SELECT COALESCE(max(id), 0) FROM changes")
            self._last = end if self._last is None else min(self._last, end)
            while not self._stopping.is_set():
                self._notified.clear()
                await self._pass_on()
                await self._wait(connection)
        finally:
            connection.terminate()

    async def _wait(self, connection: asyncpg.Connection) -> None:
        try:
            async with asyncio.timeout(_POLL_SECONDS):
                await self._notified.wait()
        except TimeoutError:
            # A notification can be lost with its connection: look whether it still stands.
            await connection.fetchval("SELECT 1")

    async def _pass_on(self) -> None:
        while page := await self._page(self._last or 0):
            for change, incident in page:
                self._offer(message_of(change, incident))
            self._last = page[-1][0].id
            self._progress.set()
            self._progress = asyncio.Event()

    async def _page(self, after: int, until: int | None = None) -> Sequence[tuple[ChangeRow, IncidentRow]]:
        conditions = [
            col(ChangeRow.id) > after,
            col(IncidentRow.shadow).is_(False),
            *([] if until is None else [col(ChangeRow.id) <= until]),
        ]
        statement = (
            select(ChangeRow, IncidentRow)
            .join(IncidentRow, col(IncidentRow.id) == col(ChangeRow.incident_id))
            .where(*conditions)
            .order_by(col(ChangeRow.id))
            .limit(_PAGE)
        )
        async with self._database.session() as session:
            return (await session.exec(statement)).all()

    def _offer(self, message: bytes) -> None:
        for listener in [listener for listener in self._listeners if not listener.offer(message)]:
            self._listeners.discard(listener)

    def _on_notification(self, *_: Any) -> None:
        self._notified.set()


def message_of(change: ChangeRow, incident: IncidentRow) -> bytes:
    """One change as a server-sent event: the incident as lists show it, what changed, and where it went if merged."""
    data = incident_summary(incident) | {"change": change.kind}
    return format_sse_event(event="incident", data_str=encode(data).decode(), id=str(change.id))
