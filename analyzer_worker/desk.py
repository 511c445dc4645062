"""Where incidents wait for the model: a bounded queue and a few workers, so that model calls never hold up Kafka."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from analyzer_worker.answering import Answer, Answering
from analyzer_worker.asking import Bill
from analyzer_worker.model_errors import ModelError
from analyzer_worker.progress import Partition
from analyzer_worker.traces import analyzing
from analyzer_worker.verdict import Sample, Verdict
from runtime.trace_context import TraceContext
from schemas.analysis import AnalysisStatus
from schemas.incident import Incident

MAX_WAITING: Final = 10_000
"""Incidents that wait for the model; more get the rules' analysis and the reason."""
MAX_WAITING_CHARACTERS: Final = 64 * 1024 * 1024
"""Text of their samples that is kept meanwhile."""


class Job(msgspec.Struct):
    """An incident that waits for the model."""

    incident: Incident
    samples: list[Sample]
    rules: Verdict
    request_id: str | None
    records: list[tuple[Partition, int]]
    """The records that asked for it; they are finished when it is."""
    templates: list[str] = []
    """Of its samples; see `sharing.templates_of`."""
    attempts: int = 0
    """How often the model was asked in vain before."""
    replaces: bool = False
    """An analysis stands already: only a better one is published."""
    trace: TraceContext | None = None
    """Of the record that asked for it."""

    @property
    def characters(self) -> int:
        """The text that it keeps."""
        return sum(len(sample.text) for sample in self.samples)


class Outcome(msgspec.Struct, frozen=True):
    """What came of a job."""

    verdict: Verdict
    status: AnalysisStatus
    latency_ms: int
    shared_with: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0


Finish = Callable[[Job, Outcome], Awaitable[None]]


class ModelDesk:
    """Takes jobs, gets an answer for each, and hands each outcome to `finish`."""

    def __init__(self, answering: Answering, finish: Finish, max_waiting: int = MAX_WAITING) -> None:
        self._answering = answering
        self._finish = finish
        self._queue: asyncio.Queue[Job] = asyncio.Queue(max_waiting)
        self._jobs: dict[tuple[str, str | None], Job] = {}
        self._characters = 0

    def join(self, key: str, request_id: str | None, record: tuple[Partition, int]) -> bool:
        """Whether this is being worked on already; then `record` is finished together with it."""
        job = self._jobs.get((key, request_id))
        if job is not None:
            job.records.append(record)
        return job is not None

    def is_at(self, key: str) -> bool:
        """Whether an incident waits here."""
        return (key, None) in self._jobs

    def records(self) -> set[tuple[Partition, int]]:
        """The records that are not finished."""
        return {record for job in self._jobs.values() for record in job.records}

    def submit(self, job: Job) -> bool:
        """Put a job in the queue; False when there is no room."""
        if self._characters + job.characters > MAX_WAITING_CHARACTERS:
            return False
        try:
            self._queue.put_nowait(job)
        except asyncio.QueueFull:
            return False
        self._jobs[job.incident.key, job.request_id] = job
        self._characters += job.characters
        return True

    def refused(self, job: Job) -> Outcome:
        """What becomes of a job for which there is no room."""
        answer = self._answering.fallback(job.rules, "too many incidents wait for it")
        return Outcome(answer.verdict, answer.status, 0)

    async def work(self) -> None:
        """One worker; runs until cancelled."""
        with contextlib.suppress(ModelError):  # each analysis meets the same trouble and reports it
            await self._answering.prepare()
        while True:
            job = await self._queue.get()
            started = time.monotonic()
            bill = Bill()
            alone = job.request_id is not None
            with analyzing("model", job.incident, job.records[0] if job.records else None, job.trace):
                answer = await self._answering.answer(
                    job.incident, job.samples, job.rules, bill, alone=alone, attempts=job.attempts
                )
                took = round((time.monotonic() - started) * 1_000)
                await self._finish(job, _outcome(answer, took, bill))
            # A record that joined while the result was being published is finished by it too.
            del self._jobs[job.incident.key, job.request_id]
            self._characters -= job.characters


def _outcome(answer: Answer, took: int, bill: Bill) -> Outcome:
    """With everything that was paid for it: also where nothing came of it."""
    verdict = msgspec.structs.replace(answer.verdict, cost_usd=bill.cost)
    return Outcome(verdict, answer.status, took, answer.shared_with, bill.input_tokens, bill.output_tokens)
