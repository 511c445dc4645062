"""How far a run has come: a bar on a terminal, a line every few seconds elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ops_assist.output import console
from ops_assist.sending.run import Watch
from ops_assist.sending.source import Source
from ops_assist.sending.tally import Tally

_LINE_SECONDS: Final = 5.0


@contextmanager
def progress(tally: Tally) -> Iterator[Watch]:
    """Show progress on stderr while the block runs."""
    screen = console(err=True)
    if not screen.is_terminal:
        yield _Lines(tally)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[counts]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=screen, transient=True) as bar:
        yield _Bar(bar, tally)


class _Bar:
    def __init__(self, bar: Progress, tally: Tally) -> None:
        self._bar, self._tally = bar, tally
        self._tasks: dict[Source, TaskID] = {}

    def __call__(self, source: Source) -> None:
        task = self._tasks.get(source)
        if task is None:
            task = self._bar.add_task(source.name, total=source.size or None, counts="")
            self._tasks[source] = task
        counts = f"{self._tally.accepted:,} accepted"
        self._bar.update(task, completed=source.position, counts=counts)


class _Lines:
    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._next = time.monotonic() + _LINE_SECONDS

    def __call__(self, source: Source) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + _LINE_SECONDS
        done = f", {100 * source.position // source.size} % of the file" if source.size else ""
        console(err=True).print(f"{source.name}: {self._tally.read:,} read, {self._tally.accepted:,} accepted{done}")
