"""Running a workload undisturbed, and waiting for what comes of it."""

import random
from typing import Final, NamedTuple

from tests.chaos.feeding import CHUNKS, Pace, feed
from tests.chaos.outcome import Outcome, is_caught_up, outcome
from tests.chaos.status_changes import Change, apply_changes, choose_changes
from tests.chaos.workload import Workload
from tests.support.pipeline import Pipeline
from tests.support.waiting import wait_until

SETTLE_SECONDS: Final = 180


class Undisturbed(NamedTuple):
    """What the calm run gave, and the status changes it made after each half."""

    outcome: Outcome
    changes: tuple[list[Change], list[Change]]


def run_calm(pipeline: Pipeline, workload: Workload) -> Undisturbed:
    """Feed a workload, choose status changes after each half, and make them."""
    chance = random.Random(workload.seed)
    changes: tuple[list[Change], list[Change]] = ([], [])
    for half, records in enumerate(workload.halves):
        pace = Pace()
        pace.release(CHUNKS)
        feed(pipeline, records, pace)
        settle(pipeline)
        changes[half].extend(choose_changes(chance, outcome(pipeline, workload.prefix).incidents))
        apply_changes(pipeline, changes[half], lambda _: None)
        settle(pipeline)
    wait_until(lambda: all_analysed(pipeline, workload), timeout=SETTLE_SECONDS, what="an analysis of each incident")
    return Undisturbed(outcome(pipeline, workload.prefix), changes)


def settle(pipeline: Pipeline) -> None:
    """Wait until everything is decided on and in the view."""
    wait_until(lambda: is_caught_up(pipeline), timeout=SETTLE_SECONDS, what="everything decided on and in the view")


def all_analysed(pipeline: Pipeline, workload: Workload) -> bool:
    """Whether each of its incidents has an analysis."""
    return all(incident["analysed"] for incident in outcome(pipeline, workload.prefix).incidents.values())
