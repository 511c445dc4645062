"""How far long work has come: a bar with an estimate on a terminal, a line every few seconds elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ops_assist.output import console, safe

_LINE_SECONDS: Final = 5.0


@contextmanager
def progress_of(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show on stderr, while the block runs, how much of `total` is done; the block is given what takes each more."""
    screen = console(err=True)
    if not screen.is_terminal:
        yield _Lines(what, total)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=screen, transient=True) as bar:
        task = bar.add_task(safe(what), total=total or None)
        yield lambda more: bar.advance(task, more)


class _Lines:
    def __init__(self, what: str, total: int) -> None:
        self._what, self._total, self._done = safe(what), total, 0
        self._start = time.monotonic()
        self._next = self._start + _LINE_SECONDS

    def __call__(self, more: int) -> None:
        self._done += more
        now = time.monotonic()
        if now < self._next or not self._total or not self._done:
            return
        self._next = now + _LINE_SECONDS
        left = (now - self._start) * (self._total - self._done) / self._done
        console(err=True).print(
            f"{self._what}: {100 * self._done // self._total} %, about {max(0.0, left):.0f} s to go"
        )
