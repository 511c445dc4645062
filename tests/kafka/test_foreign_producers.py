"""What other software writes straight into the log is detected or dead-lettered, and the processor never stops."""

import asyncio
import json
import os
import shutil
import subprocess
import time
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord
from confluent_kafka import Message, Producer

from deploy.brokers.base import Broker
from deploy.brokers.embedded import EmbeddedBroker
from runtime.settings import Settings
from schemas.codec import decode_incident
from schemas.incident import Incident
from schemas.placement import home_partition
from schemas.topics import EVENTS, EVENTS_DLQ, INCIDENTS, MAX_EVENT_BYTES, MAX_RECORD_BYTES, Header
from tests.support.brokers import both_brokers
from tests.support.databases import Databases
from tests.support.pipeline import PROCESSOR, Pipeline, running_pipeline
from tests.support.topics import consumer
from tests.support.waiting import eventually

pytestmark = both_brokers

PARTITIONS: Final = 3
FOREIGN: Final = {"linger.ms": 20, "message.max.bytes": MAX_RECORD_BYTES}
"""librdkafka's own limit is 1 MB; everything else is its default."""


@pytest.fixture(scope="module")
def processor(broker: Broker, databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """A processor on the module's broker, which is still the same process after all tests."""
    with running_pipeline(broker, databases.create(), tmp_path_factory.mktemp("state dir"), PROCESSOR) as running:
        yield running
        running.wait_ready(PROCESSOR)


class Outcome:
    """What the processor has published: the newest version of each incident, and dead letters by original key."""

    def __init__(self, incidents: AIOKafkaConsumer) -> None:
        self._consumer = incidents
        self._incidents: dict[str, Incident] = {}
        self._letters: list[ConsumerRecord[bytes, bytes]] = []

    async def incident(self, service: str, count: int) -> Incident:
        """The one incident of a service, once it counts `count` events."""

        async def arrived() -> Incident | None:
            await self._read()
            mine = [i for i in self._incidents.values() if i.service == service]
            assert len(mine) <= 1, mine
            return next((i for i in mine if i.event_count >= count), None)

        found = await eventually(arrived, what=f"{count} events of {service} in an incident")
        assert found is not None
        assert found.event_count == count
        return found

    async def letters(self, key: bytes, count: int) -> list[ConsumerRecord[bytes, bytes]]:
        """The dead letters with this key, once there are `count`."""

        async def arrived() -> list[ConsumerRecord[bytes, bytes]]:
            await self._read()
            mine = [letter for letter in self._letters if letter.key == key]
            return mine if len(mine) >= count else []

        found = await eventually(arrived, what=f"{count} dead letters of {key!r}")
        assert len(found) == count
        return found

    def services(self) -> set[str]:
        """The services that have an incident."""
        return {incident.service for incident in self._incidents.values()}

    async def _read(self) -> None:
        for records in (await self._consumer.getmany(timeout_ms=100)).values():
            for record in records:
                if record.topic == EVENTS_DLQ:
                    self._letters.append(record)
                elif record.value:
                    incident = decode_incident(record.value)
                    known = self._incidents.get(incident.key)
                    if known is None or incident.version > known.version:
                        self._incidents[incident.key] = incident


@pytest.fixture
async def outcome(processor: Pipeline, kafka_settings: Settings) -> AsyncIterator[Outcome]:
    """Reads what the processor publishes."""
    del processor
    async with consumer(kafka_settings, INCIDENTS, EVENTS_DLQ) as client:
        yield Outcome(client)


@pytest.fixture
def foreign(broker: Broker) -> Callable[..., Producer]:
    """Makes producers of librdkafka with its defaults, but for what a test changes."""
    return lambda **options: Producer(
        {"bootstrap.servers": broker.bootstrap_servers, **FOREIGN}
        | {k.replace("_", "."): v for k, v in options.items()}
    )


def error(service: str, **fields: Any) -> bytes:
    return json.dumps({"service": service, "level": "ERROR", "message": "it broke", **fields}).encode()


def named(what: str) -> str:
    """A service that librdkafka's default partitioner puts elsewhere than Java's."""
    names = (f"{what}-{n}" for n in range(100))
    return next(name for name in names if zlib.crc32(name.encode()) % PARTITIONS != home_partition(name, PARTITIONS))


def produce(producer: Producer, *records: tuple[bytes | None, bytes | None], partition: int = -1) -> list[Message]:
    """Write (key, value) records and wait for the broker; gives the delivered messages."""
    delivered: list[Message] = []

    def keep(failure: object, message: Message) -> None:
        assert failure is None, failure
        delivered.append(message)

    for key, value in records:
        producer.produce(EVENTS, value, key, partition, on_delivery=keep)
    assert producer.flush(20) == 0
    return delivered


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
async def test_the_default_partitioner_of_librdkafka(
    foreign: Callable[..., Producer], outcome: Outcome, codec: str
) -> None:
    """Its crc32 puts a service elsewhere than its home; whatever the compression, the events come together."""
    service = named(f"librdkafka-{codec}")

    sent = produce(foreign(compression_type=codec), *[(service.encode(), error(service))] * 7)

    assert {message.partition() for message in sent} == {zlib.crc32(service.encode()) % PARTITIONS}
    incident = await outcome.incident(service, 7)
    assert incident.partition == home_partition(service, PARTITIONS)


async def test_an_idempotent_producer_with_javas_partitioner(
    broker: Broker, foreign: Callable[..., Producer], outcome: Outcome
) -> None:
    """With `murmur2_random`, as Java has it, a service lies at home at once and nothing is written again."""
    service = named("java")
    producer = foreign(partitioner="murmur2_random", enable_idempotence=broker.supports_idempotence)

    sent = produce(producer, *[(service.encode(), error(service))] * 5)

    assert {message.partition() for message in sent} == {home_partition(service, PARTITIONS)}
    incident = await outcome.incident(service, 5)
    assert {sample.offset for sample in incident.samples} == {message.offset() for message in sent}


async def test_records_without_keys_in_every_partition(foreign: Callable[..., Producer], outcome: Outcome) -> None:
    """Shippers spread records over all partitions; a service's events come together all the same."""
    producer = foreign()

    for partition in range(PARTITIONS):
        produce(producer, *[(None, error("shipper"))] * 3, partition=partition)

    await outcome.incident("shipper", 9)


async def test_arrays_of_mixed_services_under_a_foreign_key(foreign: Callable[..., Producer], outcome: Outcome) -> None:
    """Each event of an array goes to its own service; an empty array says nothing."""
    both = [{"service": name, "level": "FATAL", "message": "down"} for name in ("mixed-a", "mixed-b") * 6]

    produce(foreign(), (b"pod-7", json.dumps(both).encode()), (b"pod-7", b"[]"))

    await outcome.incident("mixed-a", 6)
    await outcome.incident("mixed-b", 6)


async def test_unknown_fields_huge_integers_and_nesting_in_them(
    foreign: Callable[..., Producer], outcome: Outcome
) -> None:
    """Fields that the contract does not name are ignored, whatever they hold; large numbers do not harm."""
    service = named("odd")
    odd = {"kubernetes": {"pod": [[["x"]]]}, "took": 10**400, "attributes": {"bytes": 2**80, "ratio": -1e308}}

    produce(foreign(), *[(b"k", error(service, **odd))] * 5)

    await outcome.incident(service, 5)


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("tombstone", None, ("unreadable", "the record has no value")),
        ("empty", b"", ("unreadable", "the record has no value")),
        ("not-utf8", b'{"service": "\xff"}', ("unreadable", "not UTF-8: invalid start byte at byte 0")),
        ("utf16", '{"service": "a"}'.encode("utf-16"), ("unreadable", "not JSON")),
        ("text", b"Nov 23 22:53:11 host sshd[1]: failed", ("unreadable", "not JSON")),
        ("number", b"42", ("unreadable", "expected an event or an array of events")),
        ("nested", b"[" * 100_000, ("unreadable", "maximum recursion depth")),
        ("nested-field", b'{"service": "a", "x": ' + b"[" * 50_000, ("unreadable", "maximum recursion depth")),
        (
            "huge-attribute",
            error("a", attributes={"n": "N"}).replace(b'"N"', b"9" * 5000),
            ("unreadable", "Integer value out of range"),
        ),
        ("no-level", b'{"service": "a", "message": "x"}', ("invalid", "level: is required")),
        ("million", error("a", message="x" * (1024 * 1024)), ("invalid", "message: expected a string of 1 to 32768")),
        ("future", error("a", timestamp="2999-01-01T00:00:00Z"), ("invalid", "check the sender's clock")),
        ("surrogate", b'{"service": "\\ud800", "level": "ERROR", "message": "x"}', ("unreadable", "surrogate")),
    ],
)
async def test_what_cannot_be_an_event_is_dead_lettered(
    foreign: Callable[..., Producer], outcome: Outcome, name: str, value: bytes | None, why: tuple[str, str]
) -> None:
    """The value as it came, with the reason and its place in the log; what follows it is taken in."""
    reason, detail = why
    key = f"junk-{name}".encode()

    (sent,) = produce(foreign(), (key, value), partition=1)

    (letter,) = await outcome.letters(key, 1)
    headers = {header: text.decode() for header, text in letter.headers}
    assert letter.value == value or (not value and not letter.value)
    assert (headers[Header.REASON], headers[Header.OFFSET]) == (reason, str(sent.offset()))
    assert detail in headers[Header.DETAIL]
    produce(foreign(), *[(None, error(f"after-{name}"))] * 5, partition=1)
    await outcome.incident(f"after-{name}", 5)


async def test_large_records_in_the_wrong_place(foreign: Callable[..., Producer], outcome: Outcome) -> None:
    """Just under the limit they are written again; so large that they would not fit then, they are dead-lettered."""
    service = named("large")
    wrong = (home_partition(service, PARTITIONS) + 1) % PARTITIONS
    megabyte = error(service, attributes={"blob": "x" * 1024 * 1024})
    largest = error(service, attributes={"blob": "x" * (MAX_EVENT_BYTES - 400)})
    too_large = error(service, attributes={"blob": "x" * (MAX_RECORD_BYTES - 400)})

    produce(foreign(), *[(b"large", value) for value in (megabyte, largest, too_large) * 3], partition=wrong)

    await outcome.incident(service, 6)
    letters = await outcome.letters(b"large", 3)
    assert {dict(letter.headers)[Header.REASON] for letter in letters} == {b"too_large"}
    assert {letter.value for letter in letters} == {too_large}


async def test_a_value_that_only_compression_brought_in(foreign: Callable[..., Producer], outcome: Outcome) -> None:
    """A broker limits what a batch has compressed: twenty megabytes may come in, and must not go round for ever."""
    array = b"[" + b",".join([error("bomb")] * 300_000) + b"]"
    producer = foreign(compression_type="zstd", message_max_bytes=64 * 1024 * 1024)

    produce(producer, (b"bomb", array))

    (letter,) = await outcome.letters(b"bomb", 1)
    assert dict(letter.headers)[Header.REASON] == b"unreadable"
    assert letter.value == array[:MAX_RECORD_BYTES]
    assert "bomb" not in outcome.services()


async def test_aborted_transactions_count_nothing(
    broker: Broker, foreign: Callable[..., Producer], outcome: Outcome
) -> None:
    """Events of a transaction count once it is committed; those of an aborted one never do."""
    if isinstance(broker, EmbeddedBroker):
        pytest.skip("the embedded broker has no transactions")
    service = named("transactional")
    producer = foreign(transactional_id="foreign", transaction_timeout_ms=30_000)
    producer.init_transactions()

    for commit in (False, True, False):
        producer.begin_transaction()
        produce(producer, *[(service.encode(), error(service))] * 6)
        (producer.commit_transaction if commit else producer.abort_transaction)()
    produce(foreign(), *[(None, error(service, id="last"))] * 3)

    await outcome.incident(service, 7)


@pytest.fixture
def kcat() -> str:
    """The command; on CI it has to be there."""
    found = shutil.which("kcat")
    if found is None and os.environ.get("CI") == "true":
        pytest.fail("kcat must be there on CI (Debian: apt-get install kcat)", pytrace=False)
    return found or pytest.skip("needs kcat (Debian: apt-get install kcat)")


@pytest.mark.parametrize("options", [[], ["-K:"], ["-z", "gzip"]], ids=["no key", "keys", "gzip"])
async def test_kcat_from_a_shell(kcat: str, broker: Broker, outcome: Outcome, options: list[str]) -> None:
    """One line, one record: `kcat -P -t ops.events`, with and without keys."""
    if isinstance(broker, EmbeddedBroker):
        pytest.skip("Debian's kcat, with librdkafka 2.0, does not understand the embedded broker")
    service = named(f"kcat{''.join(options)}".replace(":", "").replace(" ", ""))
    line = error(service).decode()
    lines = "".join(f"{service}:{line}\n" if "-K:" in options else f"{line}\n" for _ in range(6))

    command = [kcat, "-P", "-b", broker.bootstrap_servers, "-t", EVENTS, *options]
    await asyncio.to_thread(subprocess.run, command, input=lines, text=True, check=True, timeout=30)

    await outcome.incident(service, 6)


async def test_an_array_of_broken_events_does_not_hold_up_the_others(
    foreign: Callable[..., Producer], outcome: Outcome
) -> None:
    """Two hundred thousand broken events in one record are counted and kept in a hundred and one letters."""
    started = time.monotonic()
    produce(foreign(), (b"many", b"[" + b",".join([b"{}"] * 200_000) + b"]"), *[(b"many", error("beside"))] * 5)

    await outcome.incident("beside", 5)
    letters = await outcome.letters(b"many", 101)
    assert json.loads(letters[-1].value or b"") == [{}] * 199_900
    assert time.monotonic() - started < 30
