"""The event log on Kafka: the contract of every event log, and what it does when the broker goes away."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from uuid import uuid4

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from deploy.brokers.base import Broker
from ingest_gateway.event_log import EventLog, NotWritten, OutcomeUnknown, PublishError, Record
from ingest_gateway.kafka_log import KafkaEventLog
from runtime.kafka import make_consumer
from runtime.settings import Settings
from schemas.topics import EVENTS
from tests.support.brokers import both_brokers
from tests.support.ports import free_port
from tests.support.waiting import eventually
from tests.unit.ingest_gateway.event_log_contract import EventLogContract, ReadBack, Written

pytestmark = [both_brokers, pytest.mark.timeout(120)]


async def _read(settings: Settings, at_least: int) -> Written:
    """Every record of the topic; waits until as many as `at_least` are there and a fetch brings no more."""
    consumer = make_consumer(settings, EVENTS, group_id=None)
    await consumer.start()
    written: Written = []
    try:
        while True:
            fetched = await consumer.getmany(timeout_ms=500)
            written += [(tp.partition, r.key, r.value) for tp, records in fetched.items() for r in records]
            if not fetched and len(written) >= at_least:
                return written
    finally:
        await consumer.stop()


@pytest.fixture
async def event_log(kafka_settings: Settings) -> AsyncIterator[EventLog]:
    """A log on the module's broker."""
    log = KafkaEventLog(kafka_settings)
    await log.start()
    yield log
    await log.stop()


class TestKafkaEventLog(EventLogContract):
    """The suite on each broker."""

    @pytest.fixture
    def read_back(self, kafka_settings: Settings) -> ReadBack:
        """All records of the topic."""

        async def read(at_least: int) -> Written:
            return await _read(kafka_settings, at_least)

        return read


def _impatient(settings: Settings, **changes: object) -> Settings:
    return settings.model_copy(update={"publish_timeout": 1.0} | changes)


async def _until_published(log: EventLog, record: Record) -> None:
    """Publish again until it is acknowledged, as a sender would."""
    await eventually(lambda: _acknowledged(log, record), timeout=60, what="an acknowledgement")


async def _acknowledged(log: EventLog, record: Record) -> bool:
    try:
        await log.publish([record])
    except PublishError:
        return False
    return True


async def test_a_broker_that_was_never_there_is_a_quick_and_certain_no(kafka_settings: Settings) -> None:
    """Nothing was handed to anybody, so the answer can promise that nothing was written."""
    log = KafkaEventLog(_impatient(kafka_settings, kafka_bootstrap_servers=f"127.0.0.1:{free_port()}"))
    await log.start()
    try:
        started = time.monotonic()
        with pytest.raises(NotWritten, match="cannot be reached"):
            await log.publish([Record("a", b"{}")])
        assert time.monotonic() - started < 2
        assert "cannot be reached" in (await log.check() or "")
    finally:
        await log.stop()


async def test_stopping_before_the_broker_was_ever_there_is_quick(kafka_settings: Settings) -> None:
    """A gateway that waits for its broker can still be stopped."""
    log = KafkaEventLog(_impatient(kafka_settings, kafka_bootstrap_servers=f"127.0.0.1:{free_port()}"))
    await log.start()
    started = time.monotonic()
    await log.stop()
    assert time.monotonic() - started < 2


class _Ledger:
    """What became of each record, as the log told it."""

    def __init__(self, log: EventLog, service: str) -> None:
        self._log, self.service = log, service
        self.acknowledged: set[bytes] = set()
        self.refused: set[bytes] = set()
        self.unknown: set[bytes] = set()

    async def send(self, value: bytes) -> None:
        try:
            await self._log.publish([Record(self.service, value)])
        except NotWritten:
            self.refused.add(value)
        except OutcomeUnknown:
            self.unknown.add(value)
        else:
            self.acknowledged.add(value)

    async def send_without_pause(self, sender: int, ended: asyncio.Event) -> None:
        index = 0
        while not ended.is_set():
            await self.send(b"%d-%d" % (sender, index))
            index += 1
            await asyncio.sleep(0)

    def assert_true_of(self, written: Written) -> None:
        """No acknowledged record is missing, no refused one is there, none is there twice."""
        found = [value for _, key, value in written if key == self.service.encode()]
        assert self.acknowledged - set(found) == set()
        assert self.refused & set(found) == set()
        assert len(found) == len(set(found))


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGSTOP], ids=lambda signum: signum.name)
async def test_under_load_every_outcome_that_the_log_tells_is_true(
    broker: Broker, kafka_settings: Settings, signum: signal.Signals
) -> None:
    """Twenty senders without pause while the broker is killed or hangs, and comes back."""
    log = KafkaEventLog(_impatient(kafka_settings))
    ledger, ended = _Ledger(log, f"load-{uuid4()}"), asyncio.Event()
    await log.start()
    senders = [asyncio.create_task(ledger.send_without_pause(sender, ended)) for sender in range(20)]
    try:
        await _until(lambda: len(ledger.acknowledged) > 1_000)
        await asyncio.to_thread(_strike, broker, signum)
        await _until(lambda: len(ledger.refused) > 1_000)
        assert await log.check() is not None
        before = len(ledger.acknowledged)
        await asyncio.to_thread(_revive, broker, signum)
        await _until(lambda: len(ledger.acknowledged) > before + 1_000)
    finally:
        ended.set()
        await asyncio.gather(*senders)
        await log.stop()
    assert ledger.unknown
    if broker.supports_idempotence:  # the embedded broker forgets all when it ends, and takes retries twice
        ledger.assert_true_of(await _read(kafka_settings, len(ledger.acknowledged)))


def _strike(broker: Broker, signum: signal.Signals) -> None:
    if signum is signal.SIGKILL:
        broker.kill()
    else:
        assert broker.pid is not None
        os.kill(broker.pid, signal.SIGSTOP)


def _revive(broker: Broker, signum: signal.Signals) -> None:
    if signum is signal.SIGKILL:
        broker.start()
    else:
        assert broker.pid is not None
        os.kill(broker.pid, signal.SIGCONT)


async def _until(condition: Callable[[], bool]) -> None:
    async def holds() -> bool:
        return condition()

    await eventually(holds, timeout=60)


async def test_a_broker_that_is_away_is_a_quick_no_after_the_first_wait(
    broker: Broker, kafka_settings: Settings
) -> None:
    """The first record waits out its time; those behind it are refused at once, and it all ends with the outage."""
    log = KafkaEventLog(_impatient(kafka_settings))
    record = Record(f"away-{uuid4()}", b"{}")
    await log.start()
    try:
        await _until_published(log, record)
        await asyncio.to_thread(broker.kill)
        killed = time.monotonic()
        assert not await _acknowledged(log, record)
        refused = time.monotonic()
        with pytest.raises(NotWritten):
            await log.publish([record] * 50)
        assert time.monotonic() - refused < (refused - killed) / 2
        await asyncio.to_thread(broker.start)
        await _until_published(log, record)
        assert await log.check() is None
    finally:
        await log.stop()


async def test_a_topic_that_was_deleted_is_made_again(broker: Broker, kafka_settings: Settings) -> None:
    """The batch fails for good, the producer is replaced, and its successor makes what is missing."""
    log = KafkaEventLog(_impatient(kafka_settings))
    record = Record(f"deleted-{uuid4()}", b"{}")
    await log.start()
    try:
        await _until_published(log, record)
        admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
        await admin.start()
        try:
            await admin.delete_topics([EVENTS])
        finally:
            await admin.close()
        await _until_published(log, record)
    finally:
        await log.stop()


async def test_stopping_while_the_broker_hangs_ends_within_bounds(broker: Broker, kafka_settings: Settings) -> None:
    """A stop must not wait for an acknowledgement that never comes."""
    log = KafkaEventLog(_impatient(kafka_settings))
    record = Record(f"hanging-{uuid4()}", b"{}")
    await log.start()
    await _until_published(log, record)
    await asyncio.to_thread(_strike, broker, signal.SIGSTOP)
    try:
        publishing = asyncio.create_task(_acknowledged(log, record))
        await asyncio.sleep(0)
        started = time.monotonic()
        await log.stop()
        assert time.monotonic() - started < 5
        assert not await publishing
    finally:
        await asyncio.to_thread(_revive, broker, signal.SIGSTOP)
