"""One connected life of the worker: consume incidents and requests, publish analyses, commit what is finished.

Any trouble with Kafka ends the session with an exception; `worker` starts the next. Nothing is lost by that: offsets
are committed only up to the first record whose analysis the broker has not acknowledged.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from analyzer_worker.answering import Answering
from analyzer_worker.decisions import has_new_templates, is_read, next_step
from analyzer_worker.desk import Job, ModelDesk, Outcome
from analyzer_worker.log_reader import LogReader
from analyzer_worker.memory import Known, Memory
from analyzer_worker.progress import Partition, Progress
from analyzer_worker.retries import Retries, delays_of
from analyzer_worker.rules import analyze_by_rules
from analyzer_worker.samples import fetch_samples
from analyzer_worker.sharing import templates_of
from analyzer_worker.traces import analyzing
from analyzer_worker.verdict import Sample, Verdict, to_analysis
from runtime.kafka import ensure_topics, make_consumer, make_producer
from runtime.logging import about
from runtime.metrics import ANALYSES as PUBLISHED
from runtime.settings import Settings
from runtime.trace_context import TraceContext, context_of, current, headers_of, under
from schemas.analysis import Analysis, AnalysisRequest, AnalysisStatus
from schemas.codec import decode_analysis, decode_analysis_request, decode_incident, encode
from schemas.incident import Incident
from schemas.timestamps import now_micros
from schemas.topics import ANALYSES, ANALYSIS_REQUESTS, INCIDENTS

log = structlog.get_logger(__name__)

GROUP: Final = "ops-analyzer"
MAX_BATCH: Final = 500
MAX_LEARNED: Final = 20_000
"""Analyses read back for each partition at its assignment; an incident older than these may be analysed once more."""
_POLL_MS: Final = 300
_STOP_SECONDS: Final = 6.0
_WAITERS: Final = 64
"""Incidents that may wait for another's answer without keeping others from being asked about."""
_EVERYTHING: Final = 1 << 62


class Work(msgspec.Struct):
    """An incident to analyse now, and the record that asks for it."""

    incident: Incident
    record: tuple[Partition, int] | None
    """None: its time has come."""
    publish_rules: bool
    ask_model: bool
    request_id: str | None = None
    replaces: bool = False
    """An analysis stands already."""
    only_if_changed: bool = False
    """Only where its first events have templates that were not analysed."""
    trace: TraceContext | None = None
    """Of the record that asks for it."""


class ByRules(msgspec.Struct, frozen=True):
    """What the rules make of an incident, and the templates of its first events."""

    outcome: Outcome
    templates: list[str]


class Session(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    """The clients and the state of one connected life."""

    def __init__(self, settings: Settings, answering: Answering | None) -> None:
        self._settings = settings
        self._consumer: AIOKafkaConsumer = make_consumer(
            settings, group_id=GROUP, partition_assignment_strategy=(RangePartitionAssignor,)
        )
        self._producer: AIOKafkaProducer = make_producer(settings, GROUP)
        self._reader = LogReader(settings)
        self._memory = Memory()
        self._progress = Progress()
        self._answering = answering
        self._desk = ModelDesk(answering, self._finish) if answering else None
        self._retries = Retries(delays_of(settings.llm_retry_delays) if answering else [])
        self._unlearned: set[int] = set()
        self._learned_to: dict[int, int] = {}
        self.is_started = False

    async def run(self) -> None:
        """Work until cancelled or until Kafka fails."""
        try:
            await ensure_topics(self._settings)
            await self._producer.start()
            await self._reader.start()
            await self._consumer.start()
            self._consumer.subscribe([INCIDENTS, ANALYSIS_REQUESTS], listener=self)
            self.is_started = True
            async with asyncio.TaskGroup() as tasks:
                if self._desk and self._answering:
                    tasks.create_task(self._answering.watch_spending())
                    for _ in range(self._settings.llm_max_concurrency + _WAITERS):
                        tasks.create_task(self._desk.work())
                tasks.create_task(self._consume())
        finally:
            await asyncio.gather(*(_stop(client) for client in (self._consumer, self._reader, self._producer)))

    async def is_connected(self) -> bool:
        """Whether a broker answers; may hang where none does."""
        try:
            return bool(await self._consumer.topics())
        except KafkaError:
            return False

    async def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        """Someone else may take these: commit what is finished, then forget how far they were."""
        await self._commit()
        self._progress.forget((partition.topic, partition.partition) for partition in revoked)

    async def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        """Others may have analysed what lies in these: read it before the next record."""
        self._unlearned |= {partition.partition for partition in assigned if partition.topic == INCIDENTS}

    async def _consume(self) -> None:
        while True:
            batches = await self._consumer.getmany(timeout_ms=_POLL_MS, max_records=MAX_BATCH)
            while self._unlearned:
                await self._learn(self._unlearned.pop())
            await self._handle([record for batch in batches.values() for record in batch])
            await self._try_again()
            await self._commit()

    async def _learn(self, partition: int) -> None:
        """Read which incidents of a partition were analysed already."""
        start = self._learned_to.get(partition, 0)
        async for record in self._reader.tail(ANALYSES, partition, start, MAX_LEARNED):
            self._learned_to[partition] = record.offset + 1
            analysis = _decoded(decode_analysis, record)
            if analysis:
                self._memory.learn(analysis)
                self._retries.note(analysis, partition)

    async def _try_again(self) -> None:
        """Take up incidents that models have failed, when their time has come, and those that grew meanwhile."""
        mine = {partition.partition for partition in self._consumer.assignment() if partition.topic == INCIDENTS}
        due = self._retries.take(now_micros(), MAX_BATCH, mine) if self._desk else []
        await self._find_incidents(due)
        works = [work for key, _ in due if (work := self._again(key))]
        if works:
            await self._analyze(works)

    def _again(self, key: str) -> Work | None:
        incident, known = self._memory.incident(key), self._memory.known(key)
        if incident is None or known is None or (self._desk and self._desk.is_at(key)) or not is_read(incident):
            return None
        if known.status == "fallback":
            return Work(incident, None, publish_rules=False, ask_model=True, replaces=True)
        step = next_step(incident, known, with_model=True)
        return _grown(incident, None, only_if_changed=step == "look") if step in ("again", "look") else None

    async def _commit(self) -> None:
        assigned = self._consumer.assignment()
        due = {p: offset for p, offset in self._progress.due().items() if TopicPartition(*p) in assigned}
        if not due:
            return
        try:
            await self._consumer.commit({TopicPartition(*partition): offset for partition, offset in due.items()})
        except (CommitFailedError, IllegalStateError) as error:
            log.info("commit_left_to_the_next_owner", why=repr(error))
            return
        self._progress.committed(due)

    async def _handle(self, records: Sequence[Any]) -> None:
        """Work through one batch. Its records stay open meanwhile: a rebalance may commit at any await."""
        places = [_place(record) for record in records]
        for place in places:
            self._progress.took(*place)
        works: dict[tuple[str, str | None], Work] = {}
        for record in records:
            with about(record.topic, record.partition, record.offset), under(context_of(record.headers)):
                await self._take(record, works)
        if works:
            await self._analyze(list(works.values()))
        waiting = self._desk.records() if self._desk else set()
        for place in places:
            if place not in waiting:
                self._progress.closed(*place)

    async def _take(self, record: Any, works: dict[tuple[str, str | None], Work]) -> None:
        """Note what a record calls for; of several versions of an incident the last one decides."""
        if record.topic == ANALYSIS_REQUESTS:
            request = _decoded(decode_analysis_request, record)
            work = await self._requested(request, record) if request else None
            key = (request.incident_key, request.request_id) if request else None
        else:
            incident = _decoded(decode_incident, record)
            work = self._seen(incident, record) if incident else None
            key = (incident.key, None) if incident else None
        if key is not None:
            works.pop(key, None)
        if key is not None and work:
            works[key] = msgspec.structs.replace(work, trace=current())

    def _seen(self, incident: Incident, record: Any) -> Work | None:
        """An incident's record came by."""
        self._memory.remember(incident)
        place = _place(record)
        if self._desk and self._desk.join(incident.key, None, place):
            return None
        with_model = self._desk is not None
        step = next_step(incident, self._memory.known(incident.key), with_model=with_model)
        match step:
            case "nothing":
                return None
            case "again" | "look":
                return _grown(incident, place, only_if_changed=step == "look", with_model=with_model)
        return Work(incident, place, publish_rules=step != "model", ask_model=step != "rules")

    async def _requested(self, request: AnalysisRequest, record: Any) -> Work | None:
        """A person asked for a new analysis."""
        place = _place(record)
        if self._desk and self._desk.join(request.incident_key, request.request_id, place):
            return None
        await self._find_incidents([(request.incident_key, record.partition)])
        incident = self._memory.incident(request.incident_key)
        if incident is None:
            log.warning("unknown_incident_requested", incident=request.incident_key, request=request.request_id)
            return None
        model = self._desk is not None
        return Work(incident, place, publish_rules=not model, ask_model=model, request_id=request.request_id)

    async def _find_incidents(self, wanted: Iterable[tuple[str, int]]) -> None:
        """Look in the log for incidents, given with their partitions, that are not remembered (any more)."""
        missing: dict[int, set[bytes]] = defaultdict(set)
        for key, partition in wanted:
            if self._memory.incident(key) is None:
                missing[partition].add(key.encode())
        for partition, keys in missing.items():
            async for record in self._reader.tail(INCIDENTS, partition, 0, _EVERYTHING):
                incident = _decoded(decode_incident, record) if record.key in keys else None
                if incident:
                    self._memory.remember(incident)

    async def _analyze(self, works: Sequence[Work]) -> None:
        """Rules for all of them at once; then the model's part waits at the desk."""
        samples = await fetch_samples(self._reader, [work.incident for work in works])
        found = await asyncio.to_thread(_by_rules, works, samples)
        looked = [each for each in zip(works, found, strict=True) if self._is_due(*each)]
        told = [each for each in looked if each[0].publish_rules or self._has_become_worse(*each)]
        await asyncio.gather(*(self._publish_rules(work, by_rules) for work, by_rules in told))
        for work, by_rules in looked:
            if work.ask_model:
                await self._ask_model(work, samples[work.incident.key], by_rules)

    def _is_due(self, work: Work, by_rules: ByRules) -> bool:
        known = self._memory.known(work.incident.key)
        if not work.only_if_changed or known is None or has_new_templates(known, by_rules.templates):
            return True
        self._memory.looked(work.incident)
        return False

    def _has_become_worse(self, work: Work, by_rules: ByRules) -> bool:
        """What stands is shown until a model answers again, but not as less severe than the rules find it by now."""
        known = self._memory.known(work.incident.key)
        if not work.replaces or known is None or known.status == "fallback":
            return False
        return by_rules.outcome.verdict.severity < known.severity

    async def _publish_rules(self, work: Work, by_rules: ByRules) -> None:
        status: AnalysisStatus = "pending" if work.ask_model else "done"
        with analyzing("rules", work.incident, work.record, work.trace):
            analysis = self._record(work.incident, by_rules.outcome, status, work.request_id, by_rules.templates)
            await self._publish(analysis, work.incident.partition)

    async def _ask_model(self, work: Work, samples: list[Sample], by_rules: ByRules) -> None:
        assert self._desk
        known = self._memory.known(work.incident.key)
        job = Job(
            work.incident,
            samples,
            by_rules.outcome.verdict,
            work.request_id,
            records=[work.record] if work.record else [],
            templates=by_rules.templates,
            attempts=known.attempts if known and work.replaces else 0,
            replaces=work.replaces,
            trace=work.trace,
        )
        if not self._desk.submit(job):
            with under(work.trace):
                await self._finish(job, self._desk.refused(job))

    async def _finish(self, job: Job, outcome: Outcome) -> None:
        if _is_better(outcome, self._memory.known(job.incident.key), job):
            attempts = job.attempts + 1 if outcome.status == "fallback" else 0
            analysis = self._record(
                job.incident, outcome, outcome.status, job.request_id, job.templates, attempts=attempts
            )
            await self._publish(analysis, job.incident.partition)
        else:
            self._memory.stands(job.incident)
        for record in job.records:
            self._progress.closed(*record)
        self._look_at_growth(job)

    def _look_at_growth(self, job: Job) -> None:
        """Records that came while it was analysed are finished with it: it may have outgrown the result by now."""
        newest, known = self._memory.incident(job.incident.key), self._memory.known(job.incident.key)
        if newest is None or known is None or known.status == "fallback" or newest.version <= job.incident.version:
            return  # what failed is tried again anyway, with the newest version
        if next_step(newest, known, with_model=True) in ("again", "look"):
            self._retries.wake(newest.key, newest.partition, now_micros())

    def _record(
        self,
        incident: Incident,
        outcome: Outcome,
        status: AnalysisStatus,
        request_id: str | None,
        templates: Sequence[str],
        *,
        attempts: int = 0,
    ) -> Analysis:
        return to_analysis(
            outcome.verdict,
            incident,
            status,
            revision=self._memory.next_revision(incident.key, now_micros()),
            latency_ms=outcome.latency_ms,
            request_id=request_id,
            templates=templates,
            attempts=attempts,
            shared_with=outcome.shared_with,
            input_tokens=outcome.input_tokens,
            output_tokens=outcome.output_tokens,
        )

    async def _publish(self, analysis: Analysis, partition: int) -> None:
        """Send and wait for the acknowledgement; only then it counts as known."""
        headers = list(headers_of(current()))
        await self._producer.send_and_wait(
            ANALYSES, encode(analysis), key=analysis.incident_key.encode(), partition=partition, headers=headers
        )
        log.info("analysis_published", incident=analysis.incident_key, by=analysis.analyzed_by,
                 status=analysis.analysis_status)  # fmt: skip
        self._memory.learn(analysis)
        self._retries.note(analysis, partition)
        PUBLISHED.labels(analysis.analyzed_by, analysis.analysis_status).inc()


def _grown(
    incident: Incident, record: tuple[Partition, int] | None, *, only_if_changed: bool, with_model: bool = True
) -> Work:
    return Work(
        incident,
        record,
        publish_rules=not with_model,
        ask_model=with_model,
        replaces=True,
        only_if_changed=only_if_changed,
    )


def _is_better(outcome: Outcome, known: Known | None, job: Job) -> bool:
    """An analysis that stands gives way to a model's, and to the word that the model has failed once more."""
    stands = job.replaces and known is not None and known.status == "done"
    return outcome.status == "done" or not stands


async def _stop(client: Any) -> None:
    """Stop a client; where the broker lets it wait for its goodbye, only its connections are closed."""
    try:
        await asyncio.wait_for(client.stop(), _STOP_SECONDS)
    except (KafkaError, TimeoutError) as error:
        log.warning("client_left_behind", client=type(client).__name__, why=repr(error))
        connections = getattr(client, "_client", None)
        if connections:
            await connections.close()  # what the client's own stop would have done last


def _place(record: Any) -> tuple[Partition, int]:
    return (record.topic, record.partition), record.offset


def _decoded(decode: Any, record: Any) -> Any:
    """The record's value, or None where it is a tombstone or cannot be read, which others have reported."""
    if record.value is None:
        return None
    try:
        return decode(record.value)
    except msgspec.DecodeError as error:
        with about(record.topic, record.partition, record.offset):
            log.warning("unreadable", why=str(error))
        return None


def _by_rules(works: Sequence[Work], samples: dict[str, list[Sample]]) -> list[ByRules]:
    found = []
    for work in works:
        started = time.monotonic()
        of_incident = samples[work.incident.key]
        verdict: Verdict = analyze_by_rules(work.incident, of_incident)
        outcome = Outcome(verdict, "done", round((time.monotonic() - started) * 1_000))
        found.append(ByRules(outcome, templates_of(of_incident)))
    return found
