"""Evidence from a real broker, and what of it reaches the model's provider."""

import asyncio
import itertools
import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from pydantic import SecretStr

from analyzer_worker.evidence.build import build_evidence
from analyzer_worker.evidence.gather import MAX_DRAWN, Gatherer
from analyzer_worker.evidence.surroundings import Surroundings
from analyzer_worker.log_reader import LogReader
from analyzer_worker.prompt import evidence_lines
from analyzer_worker.samples import fetch_samples
from analyzer_worker.worker import Worker
from runtime.kafka import make_consumer, make_producer
from runtime.metrics import SECRETS_REDACTED
from runtime.settings import Settings
from schemas.analysis import Analysis
from schemas.codec import decode_analysis
from schemas.event import Event
from schemas.identity import uuid7
from schemas.incident import Incident
from schemas.topics import ANALYSES, INCIDENT_STATUS, INCIDENTS
from tests.support.brokers import EMBEDDED, both_brokers
from tests.support.hostile_lines import hostile_lines
from tests.support.obedient_model import obey
from tests.support.openai_server import KEY, Answer, OpenAIServer, events_in, honest, running_server
from tests.support.secret_lines import SecretLine, leaked, secret_lines
from tests.support.view_server import ViewServer, running_view
from tests.support.waiting import eventually
from tests.support.written_incidents import write_incident

pytestmark = [pytest.mark.filterwarnings("default")]  # litellm's dependencies warn, not ours
embedded = pytest.mark.parametrize(
    "broker", [pytest.param(EMBEDDED, marks=pytest.mark.embedded_broker)], indirect=True, scope="module"
)

PARTITION = 1
POOL = "Database connection pool exhausted"
SECOND = 1_000_000


@pytest.fixture
async def producer(kafka_settings: Settings) -> AsyncIterator[AIOKafkaProducer]:
    client = make_producer(kafka_settings, "test")
    await client.start()
    yield client
    await client.stop()


@pytest.fixture
def view() -> Iterator[ViewServer]:
    with running_view() as running:
        yield running


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with running_server() as running:
        yield running


@pytest.fixture
def with_model(kafka_settings: Settings, server: OpenAIServer, view: ViewServer) -> Settings:
    """The module's Kafka, the test's provider and the test's view."""
    changes = {"llm_model": "openai/gpt-4o-mini", "llm_api_base": server.url, "openai_api_key": SecretStr(KEY)}
    return kafka_settings.model_copy(update=changes | {"llm_max_concurrency": 8, "api_url": view.url})


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """Gives everything that was logged or printed, at DEBUG too."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.INFO, "aiokafka")  # whose DEBUG has the bytes of every record; ours never shows it
    return lambda: caplog.text + "".join(capfd.readouterr())


@both_brokers
async def test_a_large_incident_is_drawn_from_evenly_and_the_same_every_time(
    kafka_settings: Settings, producer: AIOKafkaProducer, view: ViewServer
) -> None:
    """Six thousand events give two hundred, all of them are counted by minute, and another one's are left alone."""
    start = time.time_ns() // 1_000 - 3_600 * SECOND
    first, other = (
        [
            Event(uuid7(), service, "ERROR", f"{name} {n} failed", start + n * SECOND // 4, host=f"node-{n % 7}")
            for n, name in zip(range(6_000), itertools.cycle(["login", "order", "order"]), strict=False)
        ]
        for service in ("large", "another")
    )
    await write_incident(producer, PARTITION, other[:600])
    incident = await write_incident(producer, PARTITION, first)
    reader = LogReader(kafka_settings)
    await reader.start()
    samples = (await fetch_samples(reader, [incident]))[incident.key]
    await reader.stop()
    gatherer = Gatherer(kafka_settings.model_copy(update={"api_url": view.url}))
    material, again = [await gatherer.gather(incident, samples) for _ in range(2)]
    await gatherer.close()

    assert material.drawn is not None
    assert len(material.drawn) == MAX_DRAWN
    assert {sample.text.split()[0] for sample in material.drawn} == {"login", "order"}
    assert material.per_minute is not None
    assert sum(material.per_minute.values()) == 6_000
    assert material.surroundings == Surroundings([], [])
    evidence = build_evidence(material)
    assert evidence_lines(evidence) == evidence_lines(build_evidence(again))
    counts = {template.template: template.count for template in evidence.templates}
    assert 3_000 < counts["order {num} failed"] < 5_000
    assert len(evidence.hosts) == 7


@asynccontextmanager
async def working(settings: Settings) -> AsyncIterator[None]:
    """A worker for the time of the block, stopped as SIGTERM stops it."""
    stop = asyncio.Event()
    running = asyncio.create_task(Worker(settings).run(stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(running, 15)


def events_with(lines: list[SecretLine], service: str) -> list[Event]:
    """An event for each line; the next lines stand in its other fields."""
    start = time.time_ns() // 1_000 - 600 * SECOND
    others = [line.text for line in [*lines[1:], lines[0]]]
    return [
        Event(
            uuid7(), service, "ERROR", line.text, start + number, {"note": other}, trace_id=other, host=other,
        )
        for number, (line, other) in enumerate(zip(lines, others, strict=True))
    ]  # fmt: skip


def badly_then_well(body: dict[str, object]) -> Answer:
    """No JSON at first, so that the repair is sent too."""
    messages = body["messages"]
    assert isinstance(messages, list)
    return Answer("It broke.") if len(messages) < 3 else honest(body)


@embedded
async def test_no_secret_of_the_corpus_reaches_the_provider_or_a_log(
    with_model: Settings,
    producer: AIOKafkaProducer,
    server: OpenAIServer,
    view: ViewServer,
    logged: Callable[[], str],
) -> None:
    """All lines through the whole worker: as messages, hosts, traces, attributes, neighbours and notes."""
    lines = secret_lines()
    view.neighbours = [neighbour(line.text, number) for number, line in enumerate(lines[:80])]
    view.past = [past(line.text) for line in lines[-3:]]
    server.behaviour = badly_then_well
    parts = [lines[start : start + 20] for start in range(0, len(lines), 20)]
    before = SECRETS_REDACTED.labels("secret")._value.get()
    for number, part in enumerate(parts):
        await write_incident(producer, PARTITION, events_with(part, f"service-{number}"))
    ours = {f'\\"service\\":\\"service-{number}\\"' for number in range(len(parts))}

    async def all_sent() -> bool:
        bodies = [body.decode() for body in list(server.bodies)]
        return all(sum(one in body for body in bodies) == 2 for one in ours)

    async with working(with_model):
        await eventually(all_sent, timeout=60, what="two requests for every incident")

    sent = "\n".join(json.dumps(json.loads(body), ensure_ascii=False) for body in server.bodies)
    assert leaked(lines, sent) == []
    assert leaked(lines, sent.encode().decode("unicode_escape", "ignore")) == []
    told = [event for body in server.bodies for event in events_in(json.loads(body))]
    assert len({event["text"] for event in told}) > 100
    for kind in ("neighbour", "past", "hosts", "trace_ids", "attributes"):
        assert kind in sent
    assert SECRETS_REDACTED.labels("secret")._value.get() > before + 100
    text = logged()
    assert "analyzer_started" in text
    assert "model_answer_repaired" in text
    assert leaked(lines, text) == []


async def analyses_in(settings: Settings, incidents: Sequence[Incident]) -> list[Analysis]:
    """The last analyses of some incidents, once all are there."""
    keys = {incident.key for incident in incidents}
    found: dict[str, Analysis] = {}
    consumer = make_consumer(settings, ANALYSES, group_id=None)
    await consumer.start()

    async def all_there() -> bool:
        for records in (await consumer.getmany(timeout_ms=100)).values():
            read = [decode_analysis(record.value) for record in records]
            found.update(
                {analysis.incident_key: analysis for analysis in read if analysis.analysis_status != "pending"}
            )
        return keys <= set(found)

    try:
        await eventually(all_there, timeout=60, what="the last analyses")
    finally:
        await consumer.stop()
    return [found[key] for key in keys]


async def ends(settings: Settings, *topics: str) -> dict[TopicPartition, int]:
    """How much was ever written to some topics."""
    consumer = make_consumer(settings, group_id=None)
    await consumer.start()
    try:
        found: dict[TopicPartition, int] = await consumer.end_offsets(
            [TopicPartition(topic, partition) for topic in topics for partition in range(3)]
        )
        return found
    finally:
        await consumer.stop()


@embedded
async def test_a_model_that_obeys_the_logs_changes_no_status_and_no_severity(
    with_model: Settings, producer: AIOKafkaProducer, server: OpenAIServer
) -> None:
    """The whole corpus through the whole worker: nothing but analyses is written, and what they quote was logged."""
    server.behaviour = obey
    texts = [line.text for line in hostile_lines()]
    start = time.time_ns() // 1_000 - 600 * SECOND
    written = []
    for part in range(0, len(texts), 15):
        service = f"hostile-{part}"
        lines = [*[POOL] * 5, *texts[part : part + 15]]
        events = [Event(uuid7(), service, "ERROR", text, start + n) for n, text in enumerate(lines)]
        written.append((await write_incident(producer, PARTITION, events), events))
    before = await ends(with_model, INCIDENTS, INCIDENT_STATUS)
    incidents = [incident for incident, _ in written]
    async with working(with_model):
        analyses = await analyses_in(with_model, incidents)
    assert await ends(with_model, INCIDENTS, INCIDENT_STATUS) == before
    assert {analysis.severity for analysis in analyses} == {"P1"}
    # What it was told to say may be too long to be read; then the rules' analysis stands.
    assert [analysis.analysis_status for analysis in analyses].count("done") >= len(analyses) - 1
    logged = {event.id: event.message for _, events in written for event in events}
    quotes = [item for analysis in analyses for item in analysis.evidence]
    assert len(quotes) > 20
    assert [item for item in quotes if item.quote not in logged[item.event_id]] == []


def neighbour(text: str, number: int) -> dict[str, object]:
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return {
        "key": f"n{number}", "service": text[:100], "category": "other", "severity": "P3", "created_at": moment,
        "event_count": 5,
    }  # fmt: skip


def past(text: str) -> dict[str, object]:
    ended = {"actor": text, "note": text, "reason": text}
    return {"service": text, "category": "other", "summary": text, "similarity": 0.9, "resolution": ended}
