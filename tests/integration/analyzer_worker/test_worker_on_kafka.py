"""The worker on a real broker: from incident records to analyses, whatever happens in between."""

import asyncio
import contextlib
import itertools
import json
import os
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Self

import httpx
import msgspec
import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from pydantic import SecretStr

from analyzer_worker.litellm_adapter import MAX_ANSWER_TOKENS
from analyzer_worker.worker import Worker
from deploy.brokers.base import Broker
from deploy.brokers.embedded import EmbeddedBroker
from runtime.kafka import make_consumer, make_producer
from runtime.settings import Settings
from schemas.analysis import Analysis, AnalysisRequest
from schemas.codec import decode_analysis, encode, encode_events
from schemas.event import Event
from schemas.identity import uuid7
from schemas.incident import EventPosition, Incident
from schemas.topics import ANALYSES, ANALYSIS_REQUESTS, EVENTS, INCIDENTS
from tests.support.brokers import both_brokers
from tests.support.openai_server import KEY, Answer, OpenAIServer, analysis, failing, honest, running_server, saying
from tests.support.ports import free_port
from tests.support.waiting import eventually

pytestmark = [both_brokers, pytest.mark.filterwarnings("default")]  # litellm's dependencies warn, not ours

PARTITION = 1
POOL = "Database connection pool exhausted"
WAIT = 30.0
_numbers = itertools.count()


@pytest.fixture
async def producer(kafka_settings: Settings) -> AsyncIterator[AIOKafkaProducer]:
    client = make_producer(kafka_settings, "test")
    await client.start()
    yield client
    await client.stop()


@pytest.fixture(scope="module")
def server() -> Iterator[OpenAIServer]:
    with running_server() as running:
        yield running


@pytest.fixture
def with_model(kafka_settings: Settings, server: OpenAIServer) -> Settings:
    server.behaviour = honest
    changes = {"llm_model": "openai/gpt-4o-mini", "llm_api_base": server.url, "llm_timeout": 20.0}
    return kafka_settings.model_copy(update=changes | {"openai_api_key": SecretStr(KEY)})


@asynccontextmanager
async def working(settings: Settings) -> AsyncIterator[Worker]:
    """A worker for the time of the block, stopped as SIGTERM stops it."""
    stop = asyncio.Event()
    worker = Worker(settings)
    running = asyncio.create_task(worker.run(stop))
    try:
        yield worker
    finally:
        stop.set()
        await asyncio.wait_for(running, 15)


@asynccontextmanager
async def cut_off(settings: Settings) -> AsyncIterator[None]:
    """A worker that is cancelled at the end of the block, in the middle of its work."""
    worker = asyncio.create_task(Worker(settings).run(asyncio.Event()))
    try:
        yield
    finally:
        worker.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await worker


async def publish_incident(producer: AIOKafkaProducer, *texts: str, **changes: object) -> Incident:
    """Events and the record of an incident that they opened, as the processor would write it."""
    number = next(_numbers)
    service = f"service-{number}"
    now = time.time_ns() // 1_000
    events = [Event(uuid7(), service, "ERROR", text, now + i) for i, text in enumerate(texts)]
    sent = await producer.send_and_wait(EVENTS, encode_events(events), key=service.encode(), partition=PARTITION)
    positions = [EventPosition(sent.offset, index) for index in range(len(events))]
    incident = Incident(
        f"key-{number}-{uuid7()}", 1, service, "error-burst", "open", len(events), now, now + len(events), now, now,
        5, 300_000_000, "burst", PARTITION, positions, [],
    )  # fmt: skip
    incident = msgspec.structs.replace(incident, **changes)
    await publish_version(producer, incident)
    return incident


async def publish_version(producer: AIOKafkaProducer, incident: Incident) -> None:
    await producer.send_and_wait(INCIDENTS, encode(incident), key=incident.key.encode(), partition=PARTITION)


async def request(producer: AIOKafkaProducer, incident: Incident) -> str:
    wanted = AnalysisRequest(uuid7(), incident.key, 0, "alice")
    key = incident.key.encode()
    await producer.send_and_wait(ANALYSIS_REQUESTS, encode(wanted), key=key, partition=PARTITION)
    return wanted.request_id


class Analyses:
    """Everything published to ops.analyses so far, by incident."""

    def __init__(self, settings: Settings) -> None:
        self._consumer = make_consumer(settings, group_id=None)
        self.by_key: dict[str, list[Analysis]] = {}
        self.partitions: set[int] = set()

    async def __aenter__(self) -> Self:
        await self._consumer.start()
        place = [TopicPartition(ANALYSES, partition) for partition in range(3)]
        self._consumer.assign(place)
        await self._consumer.seek_to_beginning()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def poll(self) -> None:
        for records in (await self._consumer.getmany(timeout_ms=100)).values():
            for record in records:
                analysis = decode_analysis(record.value)
                self.partitions.add(record.partition)
                self.by_key.setdefault(analysis.incident_key, []).append(analysis)

    async def of(self, incident: Incident, count: int = 1) -> list[Analysis]:
        """The analyses of an incident, once there are `count`."""

        async def there() -> list[Analysis]:
            await self.poll()
            found = self.by_key.get(incident.key, [])
            return found if len(found) >= count else []

        return await eventually(there, timeout=WAIT, what=f"{count} analyses of {incident.key}")


@pytest.fixture
async def analyses(kafka_settings: Settings) -> AsyncIterator[Analyses]:
    async with Analyses(kafka_settings) as reading:
        yield reading


async def test_rules_analyse_an_incident_from_its_events_text(
    kafka_settings: Settings, producer: AIOKafkaProducer, analyses: Analyses
) -> None:
    """The analysis lies in the incident's partition and quotes its events."""
    async with working(kafka_settings):
        incident = await publish_incident(producer, *[POOL] * 5)
        (found,) = await analyses.of(incident)
    assert (found.category, found.severity, found.analysis_status) == ("database_issue", "P1", "done")
    assert found.evidence[0].quote == POOL
    assert analyses.partitions == {PARTITION}


async def test_later_versions_and_restarts_do_not_analyse_again(
    kafka_settings: Settings, producer: AIOKafkaProducer, analyses: Analyses
) -> None:
    """One analysis an incident, however often its record comes by."""
    incident = await publish_incident(producer, *[POOL] * 5)
    for settings in [kafka_settings, kafka_settings]:
        async with working(settings):
            await publish_version(producer, incident)
            after = await publish_incident(producer, "OutOfMemoryError")
            await analyses.of(after)
            assert len(await analyses.of(incident)) == 1


async def test_merged_and_closed_incidents_are_left_alone(
    kafka_settings: Settings, producer: AIOKafkaProducer, analyses: Analyses
) -> None:
    """Nobody reads their analysis."""
    async with working(kafka_settings):
        merged = await publish_incident(producer, POOL, merged_into="another")
        closed = await publish_incident(producer, POOL, status="closed")
        await analyses.of(await publish_incident(producer, POOL))
    assert not {merged.key, closed.key} & set(analyses.by_key)


async def test_events_that_are_gone_still_give_an_analysis(
    kafka_settings: Settings, producer: AIOKafkaProducer, analyses: Analyses
) -> None:
    """Samples out of reach make it uncertain, not missing; unreadable records hold up nothing."""
    await producer.send_and_wait(INCIDENTS, b"{not an incident", key=b"k", partition=PARTITION)
    async with working(kafka_settings):
        incident = await publish_incident(producer, POOL, samples=[])
        (found,) = await analyses.of(incident)
    assert (found.category, found.evidence) == ("other", [])
    assert "no longer kept" in found.reason


async def test_a_request_analyses_again_with_its_id(
    kafka_settings: Settings, producer: AIOKafkaProducer, analyses: Analyses
) -> None:
    """By a worker that has seen the incident, and by a new one that must look it up."""
    async with working(kafka_settings):
        incident = await publish_incident(producer, POOL)
        await analyses.of(incident)
        first = await request(producer, incident)
        assert (await analyses.of(incident, 2))[-1].request_id == first
    async with working(kafka_settings):
        second = await request(producer, incident)
        found = await analyses.of(incident, 3)
    assert found[-1].request_id == second
    assert [item.revision for item in found] == sorted({item.revision for item in found})


async def test_a_storm_is_analysed_within_seconds(
    kafka_settings: Settings, producer: AIOKafkaProducer, analyses: Analyses
) -> None:
    """A thousand incidents at once."""
    incidents = await asyncio.gather(*(publish_incident(producer, *[POOL] * 5) for _ in range(1_000)))
    started = time.monotonic()

    async def all_there() -> bool:
        await analyses.poll()
        return all(incident.key in analyses.by_key for incident in incidents)

    async with working(kafka_settings):
        await eventually(all_there, timeout=60, what="a thousand analyses")
    assert time.monotonic() - started < 60
    assert {len(analyses.by_key[incident.key]) for incident in incidents} == {1}


async def test_the_models_answer_follows_the_rules(
    with_model: Settings, producer: AIOKafkaProducer, analyses: Analyses
) -> None:
    """First pending by rules, then done by the model, as a later revision."""
    async with working(with_model):
        incident = await publish_incident(producer, *[POOL] * 5)
        first, second = await analyses.of(incident, 2)
    assert (first.analyzed_by, first.analysis_status) == ("rules", "pending")
    assert (second.analyzed_by, second.analysis_status) == ("openai/gpt-4o-mini", "done")
    assert second.revision > first.revision


async def test_a_model_that_fails_leaves_the_rules_result(
    with_model: Settings, server: OpenAIServer, producer: AIOKafkaProducer, analyses: Analyses
) -> None:
    """With the reason, and without the key."""
    server.behaviour = failing(401)
    async with working(with_model):
        incident = await publish_incident(producer, *[POOL] * 5)
        _, second = await analyses.of(incident, 2)
    assert (second.analyzed_by, second.analysis_status, second.category) == ("rules", "fallback", "database_issue")
    assert "AuthenticationError" in second.reason
    assert KEY not in second.reason


async def test_a_pending_analysis_is_taken_up_after_a_crash(
    with_model: Settings, server: OpenAIServer, producer: AIOKafkaProducer, analyses: Analyses
) -> None:
    """A slow model holds up no other incident, and what it owed is asked again by the next worker."""
    hold = asyncio.Event()

    def stuck_for_this_one(body: dict[str, object]) -> Answer:
        return Answer(seconds=600) if "STUCK" in str(body) and not hold.is_set() else honest(body)

    server.behaviour = stuck_for_this_one
    async with cut_off(with_model.model_copy(update={"llm_timeout": 600.0})):
        stuck = await publish_incident(producer, *[f"{POOL} STUCK"] * 5)
        await analyses.of(stuck)
        free = await publish_incident(producer, *[POOL] * 5)
        await analyses.of(free, 2)
        assert len(analyses.by_key[stuck.key]) == 1
    hold.set()
    async with working(with_model):
        _, second = await analyses.of(stuck, 2)
        await analyses.of(free, 2)
    assert second.analysis_status == "done"
    assert len(analyses.by_key[free.key]) == 2


async def test_a_later_success_replaces_a_fallback(
    with_model: Settings, server: OpenAIServer, producer: AIOKafkaProducer, analyses: Analyses
) -> None:
    """Asked again after LLM_RETRY_DELAYS, by the next worker too, without any new record of it."""
    server.behaviour = failing(401)
    settings = with_model.model_copy(update={"llm_retry_delays": "0,1"})
    async with working(settings):
        incident = await publish_incident(producer, *[POOL] * 5)
        _, first, second = await analyses.of(incident, 3)
    assert [(a.analysis_status, a.attempts) for a in (first, second)] == [("fallback", 1), ("fallback", 2)]
    server.behaviour = honest
    async with working(settings):
        last = (await analyses.of(incident, 4))[-1]
    assert (last.analyzed_by, last.analysis_status, last.attempts) == ("openai/gpt-4o-mini", "done", 0)


async def test_an_incident_that_grows_or_changes_is_analysed_again(
    with_model: Settings, server: OpenAIServer, producer: AIOKafkaProducer, analyses: Analyses
) -> None:
    """At ten times its events, or with other messages among its first; where the model fails then, the old stands."""
    async with working(with_model):
        incident = await publish_incident(producer, *[POOL] * 5)
        await analyses.of(incident, 2)
        await publish_version(producer, msgspec.structs.replace(incident, version=2, event_count=49))
        await publish_version(producer, msgspec.structs.replace(incident, version=3, event_count=50))
        grown = (await analyses.of(incident, 3))[-1]
        other = await publish_incident(producer, *[POOL] * 5, *["OutOfMemoryError: heap"] * 5)
        early = msgspec.structs.replace(other, key=f"{other.key}-early", event_count=5, samples=other.samples[:5])
        await publish_version(producer, early)
        await analyses.of(early, 2)
        late = msgspec.structs.replace(early, version=2, event_count=10, samples=other.samples)
        await publish_version(producer, late)
        changed = (await analyses.of(early, 3))[-1]
        server.behaviour = failing(401)
        await publish_version(producer, msgspec.structs.replace(incident, version=4, event_count=500))
        await analyses.of(await publish_incident(producer, POOL), 2)
    assert (grown.event_count, grown.analysis_status) == (50, "done")
    assert (changed.event_count, len(changed.templates)) == (10, 2)
    assert len(analyses.by_key[incident.key]) == 3


async def test_what_grew_while_the_model_was_asked_is_seen(
    with_model: Settings, server: OpenAIServer, producer: AIOKafkaProducer, analyses: Analyses
) -> None:
    """Its later records are finished with the first one's analysis, and yet it is analysed again."""
    may_answer = threading.Event()
    asked = threading.Event()

    def late(body: dict[str, object]) -> Answer:
        asked.set()
        may_answer.wait(WAIT)
        return honest(body)

    server.behaviour = late
    async with working(with_model):
        incident = await publish_incident(producer, *[POOL] * 5)
        await asyncio.to_thread(asked.wait, WAIT)
        await publish_version(producer, msgspec.structs.replace(incident, version=2, event_count=60))
        after = await publish_incident(producer, POOL)
        await analyses.of(after)
        may_answer.set()
        found = await analyses.of(incident, 3)
    assert [(item.analysis_status, item.event_count) for item in found] == [("pending", 5), ("done", 5), ("done", 60)]


async def test_what_becomes_worse_is_not_shown_as_less(
    with_model: Settings, server: OpenAIServer, producer: AIOKafkaProducer, analyses: Analyses
) -> None:
    """A model's analysis gives way to the rules' at once where they find it more severe, and models are asked again."""
    async with working(with_model.model_copy(update={"llm_retry_delays": "1"})):
        whole = await publish_incident(producer, *["Rate limit exceeded"] * 5, *[POOL] * 5)
        incident = msgspec.structs.replace(whole, key=f"{whole.key}-x", event_count=5, samples=whole.samples[:5])
        server.behaviour = saying(severity="P3")
        await publish_version(producer, incident)
        await analyses.of(incident, 2)
        server.behaviour = failing(401)
        worse = msgspec.structs.replace(incident, version=2, event_count=10, samples=whole.samples)
        await publish_version(producer, worse)
        *_, pending, failed = await analyses.of(incident, 4)
        server.behaviour = honest
        last = (await analyses.of(incident, 5))[-1]
    assert (analyses.by_key[incident.key][1].severity, pending.severity, failed.severity) == ("P3", "P1", "P1")
    assert (pending.analyzed_by, failed.analysis_status, last.analysis_status) == ("rules", "fallback", "done")


async def test_one_failure_is_told_to_all_that_ask_the_same(
    with_model: Settings, server: OpenAIServer, database_url: str, producer: AIOKafkaProducer, analyses: Analyses
) -> None:
    """A provider that is down is not asked by each of them; it cost nothing, and all are asked again later."""
    server.behaviour = lambda _: Answer("It broke.")
    server.bodies.clear()
    async with working(with_model.model_copy(update={"database_url": database_url, "llm_model": "openai/gpt-4.1"})):
        incidents = [await publish_incident(producer, *[f"{POOL}: {n} of 50 for xylophones"] * 5) for n in range(10)]
        lasts = [(await analyses.of(incident, 2))[-1] for incident in incidents]
    ours = [body for body in server.bodies if b"for xylophones" in body]
    assert {(last.analysis_status, last.attempts) for last in lasts} == {("fallback", 1)}
    assert len(ours) == 2  # the question and its repair
    assert sorted(last.input_tokens for last in lasts) == [0] * 9 + [2_000]
    assert sorted(last.cost_usd for last in lasts)[-2:] == [0.0, pytest.approx(2 * (1_000 * 2e-6 + 100 * 8e-6))]


async def test_who_waits_for_anothers_answer_holds_up_nobody(
    with_model: Settings, server: OpenAIServer, database_url: str, producer: AIOKafkaProducer, analyses: Analyses
) -> None:
    """Of two calls at a time one is free while incidents with the same messages wait for the answer to the other."""
    asked, may_answer = threading.Event(), threading.Event()

    def late_about_zithers(body: dict[str, object]) -> Answer:
        if "zithers" in json.dumps(body):
            asked.set()
            may_answer.wait(WAIT)
        return honest(body)

    server.behaviour = late_about_zithers
    async with working(with_model.model_copy(update={"database_url": database_url, "llm_max_concurrency": 2})):
        alike = [await publish_incident(producer, *[f"{POOL}: {n} of 50 for zithers"] * 5) for n in range(5)]
        await asyncio.to_thread(asked.wait, WAIT)
        for incident in alike:
            await analyses.of(incident)
        other = await publish_incident(producer, *[f"{POOL}: 7 of 50 for trombones"] * 5)
        answered = (await analyses.of(other, 2))[-1]
        may_answer.set()
        shared = [(await analyses.of(incident, 2))[-1].shared_with for incident in alike]
    assert (answered.analysis_status, answered.shared_with) == ("done", None)
    assert shared.count(None) == 1


async def test_a_storm_keeps_to_its_budget(  # noqa: PLR0917 - all of them are needed
    broker: Broker,
    with_model: Settings,
    server: OpenAIServer,
    database_url: str,
    producer: AIOKafkaProducer,
    analyses: Analyses,
) -> None:
    """1,000 incidents and money for ten calls: by rules all, by the model ten, and those that log the same share."""
    if isinstance(broker, EmbeddedBroker):
        pytest.skip("one broker is enough for what is about the budget")
    server.bodies.clear()
    server.behaviour = lambda body: Answer(analysis(body), output_tokens=MAX_ANSWER_TOKENS)
    settings = with_model.model_copy(
        update={
            "llm_model": "openai/a-model-of-the-storm",
            "llm_price_input_usd_per_million": 0.0,
            "llm_price_output_usd_per_million": 1_000_000 / MAX_ANSWER_TOKENS,  # a dollar an answer
            "llm_budget_usd_per_day": 10.5,
            "database_url": database_url,
        }
    )
    kinds = [f"{POOL} for tenant {chr(97 + number % 26)}{chr(97 + number // 26)}" for number in range(40)]
    texts = [kinds[number % len(kinds)] for number in range(1_000)]
    incidents = await asyncio.gather(*(publish_incident(producer, *[text] * 5) for text in texts))

    async def all_settled() -> bool:
        await analyses.poll()
        return all(len(analyses.by_key.get(incident.key, [])) >= 2 for incident in incidents)

    async with working(settings):
        await eventually(all_settled, timeout=90, what="two analyses of each incident")
    firsts = {analyses.by_key[incident.key][0].analysis_status for incident in incidents}
    lasts = [analyses.by_key[incident.key][-1] for incident in incidents]
    asked = [json.loads(body)["model"] for body in server.bodies]
    assert asked == ["a-model-of-the-storm"] * 10
    assert firsts == {"pending"}
    assert {last.analysis_status for last in lasts} == {"done", "skipped_budget"}
    # Incidents of other tests may come by again and be asked about too.
    every = [found for of_one in analyses.by_key.values() for found in of_one]
    own = [found for found in every if found.analyzed_by == settings.llm_model and found.shared_with is None]
    sharing = [last for last in lasts if last.shared_with is not None]
    assert len(own) == 10
    assert len(sharing) >= 9 * (1_000 // len(kinds) - 1)
    assert {last.shared_with for last in sharing} <= {found.incident_key for found in own}
    assert all("LLM_BUDGET_USD_PER_DAY" in last.reason for last in lasts if last.analysis_status == "skipped_budget")


async def test_readiness_follows_the_broker(kafka_settings: Settings) -> None:
    """Ready once the broker answers; without a broker, the reason, and a clean stop."""
    async with working(kafka_settings) as worker:
        check = worker.checks()["kafka"]

        async def ready() -> bool:
            return await check() is None

        await eventually(ready, what="readiness")
    nowhere = kafka_settings.model_copy(update={"kafka_bootstrap_servers": "127.0.0.1:1"})
    async with working(nowhere) as worker:
        check = worker.checks()["kafka"]

        async def explained() -> bool:
            return "Kafka" in (await check() or "")

        await eventually(explained, what="the reason")


async def test_the_process_serves_health_and_ends_on_sigterm(kafka_settings: Settings) -> None:
    """`python -m analyzer_worker`: ready on ANALYZER_PORT, exit status 0."""
    port = free_port()
    environment = os.environ | {
        "KAFKA_BOOTSTRAP_SERVERS": kafka_settings.kafka_bootstrap_servers,
        "KAFKA_IDEMPOTENCE": str(kafka_settings.kafka_idempotence),
        "ANALYZER_PORT": str(port),
        "LOG_LEVEL": "WARNING",
    }
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "analyzer_worker", env=environment)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:

        async def ready() -> bool:
            with contextlib.suppress(httpx.TransportError):
                return (await client.get("/readyz")).status_code == httpx.codes.OK
            return False

        try:
            await eventually(ready, timeout=WAIT, what="readiness")
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 10) == 0
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
