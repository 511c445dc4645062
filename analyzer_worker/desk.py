"""Where incidents wait for the model: a bounded queue and a few workers, so that model calls never hold up Kafka."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
import structlog

from analyzer_worker.model import Model
from analyzer_worker.model_errors import ModelError
from analyzer_worker.progress import Partition
from analyzer_worker.verdict import Sample, Verdict
from schemas.analysis import AnalysisStatus
from schemas.incident import Incident

log = structlog.get_logger(__name__)

MAX_WAITING: Final = 512
"""Incidents that wait for the model; more get the rules' analysis and the reason."""


class Job(msgspec.Struct):
    """An incident that waits for the model."""

    incident: Incident
    samples: list[Sample]
    rules: Verdict
    request_id: str | None
    records: list[tuple[Partition, int]]
    """The records that asked for it; they are finished when it is."""


class Outcome(msgspec.Struct, frozen=True):
    """What came of a job."""

    verdict: Verdict
    status: AnalysisStatus
    latency_ms: int


Finish = Callable[[Job, Outcome], Awaitable[None]]


class ModelDesk:
    """Takes jobs, asks the model, and hands each outcome to `finish`."""

    def __init__(self, model: Model, finish: Finish, max_waiting: int = MAX_WAITING) -> None:
        self._model = model
        self._finish = finish
        self._queue: asyncio.Queue[Job] = asyncio.Queue(max_waiting)
        self._jobs: dict[tuple[str, str | None], Job] = {}

    def join(self, key: str, request_id: str | None, record: tuple[Partition, int]) -> bool:
        """Whether this is being worked on already; then `record` is finished together with it."""
        job = self._jobs.get((key, request_id))
        if job is not None:
            job.records.append(record)
        return job is not None

    def records(self) -> set[tuple[Partition, int]]:
        """The records that are not finished."""
        return {record for job in self._jobs.values() for record in job.records}

    def submit(self, job: Job) -> bool:
        """Put a job in the queue; False when there is no room."""
        try:
            self._queue.put_nowait(job)
        except asyncio.QueueFull:
            return False
        self._jobs[job.incident.key, job.request_id] = job
        return True

    async def work(self) -> None:
        """One worker; runs until cancelled."""
        with contextlib.suppress(ModelError):  # each analysis meets the same trouble and reports it
            await self._model.prepare()
        while True:
            job = await self._queue.get()
            started = time.monotonic()
            verdict, status = await self._answer(job)
            await self._finish(job, Outcome(verdict, status, round((time.monotonic() - started) * 1_000)))
            # A record that joined while the result was being published is finished by it too.
            del self._jobs[job.incident.key, job.request_id]

    async def _answer(self, job: Job) -> tuple[Verdict, AnalysisStatus]:
        try:
            return await self._model.analyze(job.incident, job.samples, job.rules.severity), "done"
        except ModelError as error:
            log.warning("model_failed", incident=job.incident.key, model=self._model.name, why=str(error))
            return fallback(job.rules, self._model.name, str(error)), "fallback"
        except Exception as error:
            # A fault of ours in one analysis must not stop the others, nor be met again at every restart.
            log.exception("model_analysis_broke", incident=job.incident.key, model=self._model.name)
            return fallback(job.rules, self._model.name, f"internal fault {type(error).__name__}"), "fallback"


def fallback(rules: Verdict, model: str, why: str) -> Verdict:
    """The rules' verdict, saying why it is not the model's."""
    reason = f"By rules, because {model} gave no usable analysis: {why}. {rules.reason}"
    return msgspec.structs.replace(rules, reason=reason)
