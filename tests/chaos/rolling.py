"""Upgrading and growing as operators do: services end by SIGTERM and come again, workers join and leave, under load."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from tests.chaos.feeding import CHUNKS, Pace, feed
from tests.chaos.workload import Fed
from tests.support.pipeline import ANALYZER, FRONT_DOOR, MATERIALIZER, PROCESSOR, Pipeline

Action = Callable[[], None]

_LIMIT: Final = 10.0
_STEP_SECONDS: Final = 0.15
_SECOND_DOOR: Final = f"{FRONT_DOOR}#2"
_WORKERS: Final = tuple(f"{PROCESSOR}#{number}" for number in (2, 3))


def restart_in_turn(pipeline: Pipeline, records: list[Fed]) -> None:
    """Two front doors and two workers, so that one of each is always there; then one service after the other."""
    second = (_SECOND_DOOR, _WORKERS[0])
    _start(pipeline, *second)
    services = (FRONT_DOOR, PROCESSOR, _WORKERS[0], MATERIALIZER, ANALYZER)
    _under_load(pipeline, records, [lambda s=service: _restart(pipeline, s) for service in services])  # type: ignore[misc]
    for service in second:
        _end(pipeline, service)


def change_workers(pipeline: Pipeline, records: list[Fed]) -> None:
    """From one worker to three, one at a time, and back to one, the first of all among those that leave."""
    joining: list[Action] = [lambda w=worker: _start(pipeline, w) for worker in _WORKERS]  # type: ignore[misc]
    leaving: list[Action] = [lambda w=worker: _end(pipeline, w) for worker in (PROCESSOR, _WORKERS[0])]  # type: ignore[misc]
    _under_load(pipeline, records, [*joining, *leaving])
    _start(pipeline, PROCESSOR)
    _end(pipeline, _WORKERS[1])


def _under_load(pipeline: Pipeline, records: list[Fed], actions: Sequence[Action]) -> None:
    """Carry out the actions one after the other; each begins and goes on amid its share of the records."""
    pace = Pace()
    with ThreadPoolExecutor(2) as threads:
        feeder = threads.submit(feed, pipeline, records, pace)
        for number, act in enumerate(actions):
            steps = range(CHUNKS * number // len(actions), CHUNKS * (number + 1) // len(actions))
            load = threads.submit(_release, pace, steps)
            act()
            load.result()
        feeder.result()


def _release(pace: Pace, steps: range) -> None:
    for step in steps:
        pace.release(step + 1)
        time.sleep(_STEP_SECONDS)  # the pace of the load, not a wait for anything


def _restart(pipeline: Pipeline, service: str) -> None:
    _end(pipeline, service)
    _start(pipeline, service)


def _start(pipeline: Pipeline, *services: str) -> None:
    pipeline.start(*services)
    pipeline.wait_ready(*services)


def _end(pipeline: Pipeline, service: str) -> None:
    process = pipeline.release(service)
    process.terminate()
    code = process.wait(_LIMIT)
    assert code == 0, f"{service} ended with {code}"
