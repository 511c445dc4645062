"""One pass over a log by several sets of rules at once, in as many processes as are given; one answer all the same."""

import asyncio
import gc
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from runtime.kafka import reader
from runtime.settings import Settings
from stream_processor.backtest.file_log import MOST_TOLD, FileLog, Unreadable
from stream_processor.backtest.files import blocks
from stream_processor.backtest.findings import Findings, joined
from stream_processor.backtest.inputs import Input
from stream_processor.backtest.rule_run import RuleRun
from stream_processor.backtest.topic_range import Range, read_range
from stream_processor.rules import RuleSet
from stream_processor.sorting import sort_records

_LOOK_SECONDS: Final = 0.2

Progress = Callable[[int], None]
"""Told how much of the whole is done: bytes of files, or offsets of a topic."""


class Pass(msgspec.Struct):
    """What a pass has found, for each set of rules. Times are event times in microseconds; None: there was no event."""

    findings: list[Findings]
    events: int = 0
    first: int | None = None
    newest: int | None = None
    unreadable: list[Unreadable] = []


class Files(msgspec.Struct, frozen=True):
    """Files, in the order in which they are read. Each process reads all of them and takes some of the services."""

    paths: list[Path]

    def tasks(self, most: int) -> list[Any]:
        """What each process is to do."""
        return [(shard, most) for shard in range(most)]

    def run(self, task: Any, rules: Sequence[RuleSet], advance: Progress) -> Pass:
        """One process's part."""
        shard, shards = task
        runs = [RuleRun(one) for one in rules]
        log = FileLog(runs, shard, shards)
        with _without_cycles():
            for path in self.paths:
                for block in blocks(path, advance if shard == 0 else _ignore):
                    log.take(block)
        findings = [run.findings() for run in runs]
        for one in findings if shard == 0 and log.refused else ():
            one.ledger["dead_lettered"] = log.refused
        return Pass(findings, log.events, log.first, log.newest, log.unreadable if shard == 0 else [])


class TopicRange(msgspec.Struct, frozen=True):
    """Ranges of a topic that has `partitions` in all. `inputs`: what came between events, by partition, in order."""

    settings: Settings
    topic: str
    partitions: int
    ranges: list[Range]
    inputs: dict[int, list[Input]] = {}

    def tasks(self, most: int) -> list[Any]:
        """Each partition on its own, the largest first."""
        del most
        return sorted(self.ranges, key=lambda one: -one.size)

    def run(self, task: Any, rules: Sequence[RuleSet], advance: Progress) -> Pass:
        """One partition's part."""
        return asyncio.run(self._read(task, rules, advance))

    async def _read(self, wanted: Range, rules: Sequence[RuleSet], advance: Progress) -> Pass:
        inputs = self.inputs.get(wanted.partition, [])
        runs = [RuleRun(one, wanted.partition, inputs) for one in rules]
        found = Pass([])
        async with reader(self.settings) as consumer:
            at = wanted.start
            async for records in read_range(consumer, self.topic, wanted):
                take_records(runs, records, self.partitions, found)
                advance(records[-1].offset + 1 - at)
                at = records[-1].offset + 1
            advance(max(0, wanted.end - at))
        found.findings = [run.findings() for run in runs]
        return found


def take_records(runs: Sequence[RuleRun], records: Sequence[Any], partitions: int, found: Pass) -> None:
    """Bring consecutive records of one partition to sets of rules, as the live processor does."""
    content = sort_records(records, partitions)
    moved = sum(len(events) for events in content.elsewhere.values())
    dead = sum(letter.events for letter in content.dead)
    for run in runs:
        run.ledger.update({"rekeyed": moved, "dead_lettered": dead})
        run.take(records, content.here)
    for arrivals in content.here.values():
        times = [arrival.event.timestamp for arrival in arrivals]
        found.events += len(times)
        found.first = min(times) if found.first is None else min(found.first, *times)
        found.newest = max(times) if found.newest is None else max(found.newest, *times)


def run_pass(source: Files | TopicRange, rules: Sequence[RuleSet], jobs: int, progress: Progress) -> Pass:
    """Run sets of rules over a log in up to `jobs` processes.

    Raises:
        UnreadableFile: a file is damaged.
        KafkaError: the broker cannot be read.
    """
    tasks = source.tasks(jobs)
    if min(jobs, len(tasks)) == 1:
        return _joined([source.run(task, rules, progress) for task in tasks])
    context = multiprocessing.get_context("spawn")
    done = context.Value("q", 0)
    with ProcessPoolExecutor(jobs, context, _share, (done,)) as pool:
        waiting = {pool.submit(_run_shared, source, task, rules) for task in tasks}
        parts: set[Future[Pass]] = set()
        told = 0
        while waiting:
            ended, waiting = wait(waiting, _LOOK_SECONDS, FIRST_COMPLETED)
            parts |= ended
            now = done.value
            progress(now - told)
            told = now
            if any(part.exception() for part in ended):
                pool.shutdown(wait=False, cancel_futures=True)
                break
        return _joined([part.result() for part in parts])


_done: Any = None
"""In a process of a pool: the counter that all of them share."""


def _share(done: Any) -> None:
    global _done  # noqa: PLW0603 - how a pool gives its processes what cannot be sent with a task
    _done = done


def _run_shared(source: Files | TopicRange, task: Any, rules: Sequence[RuleSet]) -> Pass:
    def advance(count: int) -> None:
        with _done.get_lock():
            _done.value += count

    return source.run(task, rules, advance)


def _joined(parts: Sequence[Pass]) -> Pass:
    firsts = [part.first for part in parts if part.first is not None]
    newest = [part.newest for part in parts if part.newest is not None]
    unreadable = sorted((one for part in parts for one in part.unreadable), key=lambda one: one.line)
    return Pass(
        [joined(each) for each in zip(*(part.findings for part in parts), strict=True)],
        sum(part.events for part in parts),
        min(firsts, default=None),
        max(newest, default=None),
        unreadable[:MOST_TOLD],
    )


@contextmanager
def _without_cycles() -> Iterator[None]:
    """Events and states hold no cycles: looking for some costs a twentieth of a pass and finds none."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _ignore(_: int) -> None:
    pass
