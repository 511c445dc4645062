"""What the worker decides, remembers and commits."""

import asyncio
from typing import Any

import msgspec
import pytest

from analyzer_worker.answering import Answering
from analyzer_worker.decisions import Step, has_new_templates, next_step
from analyzer_worker.desk import Job, ModelDesk, Outcome
from analyzer_worker.litellm_adapter import Message, Reply
from analyzer_worker.memory import Known, Memory
from analyzer_worker.model import Model
from analyzer_worker.progress import Progress
from analyzer_worker.rules import analyze_by_rules
from analyzer_worker.spending.price import FREE, Price
from analyzer_worker.verdict import to_analysis
from schemas.analysis import AnalysisStatus
from schemas.incident import Incident
from schemas.lifecycle import Status

PLACE = ("ops.incidents", 0)


def incident(key: str = "k", version: int = 1, status: Status = "open", merged_into: str | None = None) -> Incident:
    return Incident(
        key, version, "s", "error-burst", status, 5, 0, 1, 0, 0, 5, 300, "", 0, [], [], merged_into=merged_into
    )


@pytest.mark.parametrize(
    ("record", "known", "with_model", "step"),
    [
        (incident(), None, False, "rules"),
        (incident(), None, True, "rules_then_model"),
        (incident(), "pending", True, "model"),
        (incident(), "pending", False, "rules"),
        (incident(), "done", True, "nothing"),
        (incident(), "fallback", True, "nothing"),
        (incident(), "skipped_budget", True, "nothing"),
        (incident(status="resolved"), None, False, "rules"),
        (incident(status="closed"), None, False, "nothing"),
        (incident(merged_into="other"), None, True, "nothing"),
        (msgspec.structs.replace(incident(), shadow=True), None, True, "nothing"),
    ],
)
def test_what_a_record_calls_for(
    record: Incident, known: AnalysisStatus | None, *, with_model: bool, step: Step
) -> None:
    """Once by rules, once by the model, and an interrupted model's part again."""
    assert next_step(record, Known(known, 1, 5) if known else None, with_model=with_model) == step


@pytest.mark.parametrize(
    ("events", "analysed", "step"),
    [
        (49, 5, "look"),
        (50, 5, "again"),
        (5, 5, "nothing"),
        (6, 5, "look"),
        (21, 20, "nothing"),
        (60, 30, "nothing"),
        (300, 30, "again"),
        (5_000, 0, "nothing"),
    ],
)
def test_an_incident_that_has_grown_is_analysed_again(events: int, analysed: int, step: Step) -> None:
    """At ten times the events; with more its first events are looked at, while there can be others."""
    grown = msgspec.structs.replace(incident(version=2), event_count=events)
    for status in ("done", "fallback", "skipped_budget"):
        assert next_step(grown, Known(status, 1, analysed), with_model=True) == step


def test_only_templates_that_were_not_analysed_count_as_new() -> None:
    """Fewer are no news."""
    known = Known("done", 1, 5, templates=frozenset({"a", "b"}))
    assert not has_new_templates(known, ["a"])
    assert has_new_templates(known, ["a", "c"])


def test_only_finished_work_is_committed() -> None:
    """The oldest open record holds the offset back; what is committed is not committed again."""
    progress = Progress()
    for offset in (7, 8, 9):
        progress.took(PLACE, offset)
    progress.closed(PLACE, 7)
    progress.closed(PLACE, 9)
    assert progress.due() == {PLACE: 8}
    progress.committed({PLACE: 8})
    assert progress.due() == {}
    progress.closed(PLACE, 8)
    assert progress.due() == {PLACE: 10}
    progress.forget([PLACE])
    progress.closed(PLACE, 8)
    assert progress.due() == {}


def test_memory_is_bounded_and_keeps_the_newest() -> None:
    """Older revisions and versions change nothing; what was not touched for longest is forgotten."""
    memory = Memory(max_known=2, max_incidents=2)
    rules = analyze_by_rules(incident(), [])
    memory.learn(to_analysis(rules, incident("a"), "done", revision=5, latency_ms=0))
    memory.learn(to_analysis(rules, incident("a"), "pending", revision=4, latency_ms=0))
    known = memory.known("a")
    assert known is not None
    assert known.status == "done"
    assert (memory.next_revision("a", 3), memory.next_revision("a", 9), memory.next_revision("b", 3)) == (6, 9, 3)
    for key in ("b", "c"):
        memory.learn(to_analysis(rules, incident(key), "done", revision=1, latency_ms=0))
    assert memory.known("a") is None
    memory.remember(incident("a", version=2))
    memory.remember(incident("a", version=1))
    assert memory.incident("a") == incident("a", version=2)


class Broken:
    """A model whose answers reveal a fault of ours."""

    model = "broken"

    async def prepare(self) -> None:
        """Nothing to load."""

    def price(self) -> Price | None:
        """It costs nothing."""
        return FREE

    async def complete(self, messages: list[Message], schema: dict[str, Any], timeout: float) -> Reply:  # noqa: ASYNC109 - as in Completion
        """Break."""
        raise ZeroDivisionError(len(messages), len(schema), timeout)


async def test_the_desk_is_bounded_and_survives_a_fault() -> None:
    """No room: the caller is told. A fault in one analysis is that one's fallback, and the desk goes on."""
    finished: list[tuple[str, str]] = []
    both = asyncio.Event()

    async def finish(job: Job, outcome: Outcome) -> None:
        finished.append((job.incident.key, outcome.status))
        if len(finished) == 2:
            both.set()

    desk = ModelDesk(Answering(Model(Broken(), deadline=5)), finish, max_waiting=2)
    jobs = [Job(incident(key), [], analyze_by_rules(incident(key), []), None, [(PLACE, 0)]) for key in "abc"]
    assert [desk.submit(job) for job in jobs] == [True, True, False]
    assert desk.join("a", None, (PLACE, 4))
    assert not desk.join("c", None, (PLACE, 5))
    assert desk.records() == {(PLACE, 0), (PLACE, 4)}
    worker = asyncio.create_task(desk.work())
    await asyncio.wait_for(both.wait(), 5)
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)
    assert finished == [("a", "fallback"), ("b", "fallback")]
