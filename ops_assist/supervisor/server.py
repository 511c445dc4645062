"""A broker or a database that `up` runs: started and stopped in threads, since their ways of doing it block."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

import psutil

_HURRY_SECONDS: Final = 0.2


class Runnable(Protocol):
    """What brokers and PostgreSQL have in common."""

    @property
    def pid(self) -> int | None:
        """Its process while it runs."""

    def start(self, timeout: float = 60) -> None:
        """Start it and wait until it serves."""

    def stop(self) -> None:
        """End it cleanly."""

    def kill(self) -> None:
        """End it with SIGKILL."""

    def is_running(self) -> bool:
        """Whether its process lives."""


T = TypeVar("T", bound=Runnable)


class Server(Generic[T]):
    """One broker or database under supervision; `make` may take long and is run in a thread too."""

    def __init__(self, name: str, make: Callable[[], T]) -> None:
        self.name = name
        self._make = make
        self._runnable: T | None = None
        self._starting: asyncio.Task[T] | None = None
        self._serves = False

    async def make(self) -> T:
        """Make it; what goes wrong is raised as the maker raises it."""
        return await self._in_thread(self._make_now)

    async def start(self, within: float) -> T:
        """Start it, made before or now, in `within` seconds; what goes wrong is raised as the runnable raises it."""
        runnable = await self._in_thread(lambda: self._start_now(within))
        self._serves = True
        return runnable

    async def _in_thread(self, step: Callable[[], T]) -> T:
        self._starting = asyncio.create_task(asyncio.to_thread(step))
        return await asyncio.shield(self._starting)

    def _make_now(self) -> T:
        self._runnable = self._runnable or self._make()
        return self._runnable

    def _start_now(self, within: float) -> T:
        runnable = self._make_now()
        runnable.start(within)
        return runnable

    @property
    def has_crashed(self) -> bool:
        """Whether it served and no longer runs."""
        return self._serves and self._runnable is not None and not self._runnable.is_running()

    @property
    def pid(self) -> int | None:
        """Its process while it runs."""
        return self._runnable.pid if self._runnable is not None else None

    async def stop(self, *, spare: frozenset[int]) -> None:
        """End it cleanly, or, while it is still starting, at once; the processes in `spare` are not helpers of it."""
        self._serves = False
        if self._starting is not None and not self._starting.done():
            await self._give_up(self._starting, spare)
        if self._runnable is not None:
            await asyncio.to_thread(self._runnable.stop)

    async def _give_up(self, starting: asyncio.Task[T], spare: frozenset[int]) -> None:
        while not starting.done():
            _kill_helpers(spare)
            if self._runnable is not None:
                await asyncio.to_thread(self._runnable.kill)
            await asyncio.wait([starting], timeout=_HURRY_SECONDS)
        starting.exception()  # it was made to fail


def _kill_helpers(spare: frozenset[int]) -> None:
    """End what a start runs before its server does, such as Maven."""
    for helper in psutil.Process().children():
        if helper.pid not in spare:
            with contextlib.suppress(psutil.NoSuchProcess):
                for process in (*helper.children(recursive=True), helper):
                    process.kill()
