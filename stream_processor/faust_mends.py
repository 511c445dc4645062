"""What Faust 0.15.3 loses, and how it is kept: the mends of exactly this version, for one app at a time.

| # | lost without it | where in Faust | upstream |
|---|---|---|---|
| a | what is fetched between resuming the sources and clearing the queues | tables/recovery.py:649-660 | 596 |
| b | events unfinished before a finished one: they are committed over | transport/consumer.py:1138-1142 | 606 |
| c | the event whose agent raises: acknowledged, skipped, agent restarted | agents/agent.py:600, streams.pyx | 315 |
| d | state whose changelog record never reached the broker | transport/producer.py:84-126, topics.py:472 | - |
| e | changelog rows whose handling raises, or behind a compacted tail | tables/recovery.py:867-915 | 432, 176 |
| f | what was fetched and dropped of a partition without commits | transport/consumer.py:532 `perform_seek` | - |
| g | state, when the same partition of two source topics lies on two workers | assignor/partition_assignor.py:172 | - |
| h | everything, when the leader of the group does not know the topics after an outage | the same, line 179 | - |

(b), (d) and (f) are kept by `batching` and `durable_table`, (h) by `assignor`; this module puts all in place.
docs/adr/0002-faust-mends.md tells each story, and what is left.
"""

import asyncio
import ssl
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Any, Final, Self

import faust
import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import IllegalStateError, KafkaError
from aiokafka.structs import TopicPartition
from faust.auth import SASLCredentials, SSLCredentials
from faust.sensors import Monitor
from faust.tables.manager import TableManager
from faust.tables.recovery import RebalanceAgain, Recovery, ServiceStopped
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth, server_list
from faust.types import TP, EventT
from mode import Service

from runtime.kafka import ssl_context
from runtime.settings import Settings
from schemas.topics import MAX_RECORD_BYTES
from stream_processor.assignor import WholeAssignor
from stream_processor.batching import BatchTransport, consumer_of
from stream_processor.dead_letter_limit import TooManyDeadLetters
from stream_processor.durable_table import DurableTable, PartitionLost, read_to_end
from stream_processor.fatal import exit_now, leave_now

log = structlog.get_logger(__name__)

MENDED_VERSION: Final = "0.15.3"
_RETRY_SECONDS: Final = 1.0
_STOP_SECONDS: Final = 7.0


class WrongFaustVersion(RuntimeError):  # noqa: N818 - reads as what it is
    """The mends fit one version; another must first be read and tested against them."""


def install(app: faust.App, *, distrust_end_offsets: bool = False) -> None:
    """Apply every mend to this app; call it right after making the app with `recommended_options`.

    Args:
        app: not started yet.
        distrust_end_offsets: the broker may report the end of a partition too low by a part of its last batch
            (the embedded one does): look for the true end.

    Raises:
        WrongFaustVersion: for any Faust but 0.15.3.
    """
    if faust.__version__ != MENDED_VERSION:
        raise WrongFaustVersion(
            f"the mends are for faust-streaming {MENDED_VERSION}, installed is {faust.__version__}: "
            f"run tests/kafka/test_faust_mends*.py, see which losses are still there, and adapt stream_processor/"
        )
    app.transport = BatchTransport(app.conf.broker_consumer, app)
    assert isinstance(app.tables, SoundTableManager), "make the app with `recommended_options`"
    app.tables.distrust_end_offsets = distrust_end_offsets
    app.conf.datadir.mkdir(parents=True, exist_ok=True)


async def run(app: faust.App, stop: asyncio.Event) -> None:
    """Run the app until `stop` is set, then stop it cleanly; should it crash, end the process with exit code 70.

    With its broker gone it cannot stop cleanly: it is left then after 7 seconds, with exit code 0.
    The broker and the topics have to be there at the start; afterwards they may go away and come back.
    """
    starting = asyncio.create_task(app.start())
    ends = [asyncio.create_task(stop.wait()), asyncio.create_task(app._crashed.wait())]  # noqa: SLF001 - a flag in mode
    await asyncio.wait({starting, *ends}, return_when=asyncio.FIRST_COMPLETED)
    if starting.done() and (error := starting.exception()):
        exit_now("Faust could not start", error)
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    if app.crashed:
        exit_now("Faust crashed", app.crash_reason)
    for task in (starting, *ends):
        task.cancel()
    await asyncio.wait({starting, *ends})
    stopping = asyncio.create_task(app.stop())
    await asyncio.wait({stopping}, timeout=_STOP_SECONDS)
    if not stopping.done():
        # Faust would wait for a broker that is gone. What is not committed yet is durable, or comes again.
        leave_now("Faust did not stop in time")
    await stopping


# --- (a), (e), (f), (g): recovery -----------------------------------------------------------------------------


class SoundTableManager(TableManager):
    """Faust's tables with the recovery below."""

    distrust_end_offsets = False

    @property
    def recovery(self) -> Recovery:
        """The recovery service of this app."""
        if self._recovery is None:
            self._recovery = SoundRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery


class SoundRecovery(Recovery):
    """Recovery in one straight line: read the changelogs, seek, clear the queues, and only then read the sources.

    Faust reads changelogs through the same consumer, queues and flow control as the sources, and resumes the sources
    before it seeks and clears. Here a second client reads each changelog partition to its end while the gate of
    `BatchConsumer` is closed, so nothing of a source can be under way. Sound because the gate opens last, in one
    step of the event loop, and not when another rebalance has begun meanwhile.
    """

    tables: SoundTableManager
    _rebalance = 0

    async def on_rebalance(
        self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0
    ) -> None:
        """Remember which rebalance this recovery belongs to."""
        self._rebalance = self.app.rebalancing_count
        await super().on_rebalance(assigned, revoked, newly_assigned, generation_id)

    @Service.task
    async def _slurp_changelogs(self) -> None:
        """Nothing: no changelog record comes through Faust's queues."""

    @Service.task
    async def _restart_recovery(self) -> None:
        while not await self.wait_for_stopped(self.signal_recovery_start.wait()):
            self.signal_recovery_start.clear()
            try:
                await self._wait(self._recover_until_done(self._generation_id, self._rebalance))
            except RebalanceAgain:
                continue
            except ServiceStopped:
                break

    async def _recover_until_done(self, generation: int, rebalance: int) -> None:
        self._set_recovery_started()
        while not self._is_outdated(generation, rebalance):
            try:
                await self._recover(generation, rebalance)
            except IllegalStateError:
                return  # the assignment is another one already
            except KafkaError as error:
                log.warning("recovery_failed_trying_again", error=repr(error))
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return

    def _is_outdated(self, generation: int, rebalance: int) -> bool:
        return (generation, rebalance) != (self.app.consumer_generation_id, self.app.rebalancing_count)

    async def _recover(self, generation: int, rebalance: int) -> None:
        consumer = consumer_of(self.app)
        assigned = consumer.assignment()
        changelogs = {tp for tp in assigned if self._is_changelog_tp(tp)}
        sources = assigned - changelogs
        partitions = frozenset(tp.partition for tp in sources)
        self._check_colocation(sources)
        await consumer.hold(changelogs)
        async with self._reader() as reader:
            consumer.replay_horizon = await self._ends(reader, sources)
            for table in self._durable_tables():
                await table.recover(reader, partitions)
        if sources:
            await consumer.perform_seek()
        if self._is_outdated(generation, rebalance):
            return
        for table in self._durable_tables():
            await table.announce_recovered(partitions)
        await self.app.on_rebalance_complete.send()
        if not self._is_outdated(generation, rebalance):
            await self._open(sources, generation)

    def _durable_tables(self) -> list[DurableTable]:
        return [table for table in self.tables.values() if isinstance(table, DurableTable)]

    def _check_colocation(self, sources: set[TP]) -> None:
        """State is shared by all source topics, so a partition must come with the same one of each.

        Where the group puts the changelog does not matter: each owner of a source reads it through its own client.
        """
        changelogs = {table.changelog_topic_name for table in self._durable_tables()}
        topics = {name for channel in self.app.topics for name in channel.topics} - changelogs
        found = {name: sorted(tp.partition for tp in sources if tp.topic == name) for name in topics}
        if len(set(map(tuple, found.values()))) > 1:
            exit_now(
                "the group gave this worker other partitions of one source topic than of another; do all topics "
                "exist, with the same number of partitions, and do all workers run the same version?",
                sources=found,
            )

    async def _ends(self, reader: AIOKafkaConsumer, sources: set[TP]) -> dict[TP, int]:
        partitions = [TopicPartition(*tp) for tp in sources]
        if not partitions:
            return {}
        ends: dict[TopicPartition, int] = await reader.end_offsets(partitions)
        if self.tables.distrust_end_offsets:
            ends |= await true_ends(reader, ends)
        return {TP(*tp): end for tp, end in ends.items()}

    def _reader(self) -> AIOKafkaConsumer:
        conf = self.app.conf
        return AIOKafkaConsumer(
            bootstrap_servers=server_list(conf.broker_consumer, 9092),
            client_id=f"{conf.broker_client_id}-recovery",
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",  # an end is then where the sources can be read to
            fetch_max_wait_ms=20,  # a waiting fetch holds up every other request to that broker
            max_partition_fetch_bytes=conf.consumer_max_fetch_size,
            request_timeout_ms=int(conf.broker_request_timeout * 1000),
            **credentials_to_aiokafka_auth(conf.broker_credentials, conf.ssl_context),
        )

    async def _open(self, sources: set[TP], generation: int) -> None:
        app, consumer = self.app, consumer_of(self.app)
        self._set_recovery_ended()
        app.flow_control.resume()  # clears the queues of the streams: nothing of this generation is in them yet
        consumer.resume_flow()
        consumer.resume_partitions(sources)
        consumer.open_sources(sources, generation)
        app.on_rebalance_end()
        self.tables.on_actives_ready()
        self.tables.on_standbys_ready()
        self.completed.set()
        log.info("reading", generation=generation, partitions=sorted({tp.partition for tp in sources}))
        await app._fetcher.maybe_start()  # type: ignore[attr-defined]  # noqa: SLF001 - as Faust's own recovery does


async def true_ends(reader: AIOKafkaConsumer, reported: dict[TopicPartition, int]) -> dict[TopicPartition, int]:
    """The ends of partitions whose reported end may be too low by a part of the last batch: read that batch."""
    behind = [tp for tp, end in reported.items() if end > 0]
    ends: dict[TopicPartition, int] = {}
    async for tp, records in read_to_end(reader, behind, only_last_batch=True):
        ends[tp] = records[-1].offset + 1
    return ends


# --- (c): an event is finished by success alone ---------------------------------------------------------------


_LEFT_ALONE: Final = (PartitionLost, TooManyDeadLetters)


class finishing:  # noqa: N801 - used as a statement: `async with finishing(event):`
    """Acknowledge the event when the block ends well.

    When the partition is lost meanwhile, or dead letters stop the worker, the event is left to its next owner. Any
    other exception ends the process with exit code 70 and nothing acknowledged: after a restart the event comes again.
    Needs `stream.noack()`.
    """

    def __init__(self, event: EventT[Any]) -> None:
        self._event = event

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        app, message = self._event.app, self._event.message
        if error is None:
            self._event.ack()
            return False
        if isinstance(error, Exception) and not isinstance(error, _LEFT_ALONE):
            exit_now("an event could not be processed", error, partition=message.partition, offset=message.offset)
        log.info("event_left_to_the_next_owner", partition=message.partition, offset=message.offset)
        consumer_of(app).forget(message)
        return isinstance(error, _LEFT_ALONE)


class FatalAgent(faust.Agent):
    """An agent that ends the process when it raises; Faust's would acknowledge the event and go on with the next."""

    async def _execute_actor(self, coro: Any, aref: Any) -> None:
        async def guarded() -> None:
            try:
                await coro
            except Exception as error:  # noqa: BLE001 - whatever it is, nothing may be acknowledged after it
                exit_now(f"agent {self.name} raised", error)

        await super()._execute_actor(guarded(), aref)


# --- options --------------------------------------------------------------------------------------------------


class SilentMonitor(Monitor):
    """Faust's monitor without its per-event bookkeeping, a third of the CPU; the processor has its own metrics."""

    def _nothing(self, *_: Any, **__: Any) -> None:
        """Keep no count."""

    on_message_in = on_stream_event_in = on_stream_event_out = on_message_out = _nothing
    on_topic_buffer_full = on_table_get = on_table_set = on_table_del = _nothing
    on_tp_commit = track_tp_end_offset = count = _nothing


def recommended_options(settings: Settings) -> dict[str, Any]:
    """Options for `faust.App(id, **options)`, each with its reason."""
    return _connection(settings) | {
        # The mends that Faust has a setting for.
        "Agent": FatalAgent,
        "PartitionAssignor": WholeAssignor,
        "Table": DurableTable,
        "TableManager": SoundTableManager,
        "monitor": SilentMonitor(),
        # exactly_once is unmaintained (issues 517, 323, 440); state rows carry positions instead.
        "processing_guarantee": "at_least_once",
        # Faust's own store stays empty: rows are in a `row_store`. Its RocksDB would be written before the changelog.
        "store": "memory://",
        # State is small, so a new owner reads it faster than a standby costs. Faust's own assignor stays in use,
        # because there is a table.
        "table_standby_replicas": 0,
        # A rebalance waits for begun batches, so two workers never work on one partition.
        "stream_wait_empty": True,
        "stream_recovery_delay": 0,
        "stream_buffer_maxsize": 4096,
        # Faust keeps nothing there, but makes the directory.
        "datadir": str(data_dir(settings)),
        # Topics are made and checked by runtime.kafka.ensure_topics.
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "consumer_auto_offset_reset": "earliest",
        "consumer_max_fetch_size": 2 * MAX_RECORD_BYTES,
        "consumer_metadata_max_age_ms": 30_000,
        # None: one fetch at once. A limit costs a thread hop for every so many records.
        "broker_max_poll_records": None,
        "broker_commit_interval": 1.0,
        "broker_session_timeout": settings.kafka_session_timeout_ms / 1000,
        "broker_heartbeat_interval": settings.kafka_session_timeout_ms / 4000,
        "broker_request_timeout": max(20.0, settings.kafka_session_timeout_ms / 1000 + 5),
        "broker_rebalance_timeout": 60.0,
        "producer_acks": -1,
        "producer_linger": 0.0,  # whole batches are sent; there is nothing to wait for
        "producer_max_batch_size": 2 * MAX_RECORD_BYTES,
        "producer_max_request_size": 2 * MAX_RECORD_BYTES + 64 * 1024,
        "producer_request_timeout": 10.0,
        # A threaded producer flushes the wrong queue (transport/drivers/aiokafka.py:1487).
        "producer_threaded": False,
        # The worker serves its own health and metrics; Faust's /table and /router are open to anybody.
        "web_enabled": False,
    }


def data_dir(settings: Settings) -> Path:
    """Where a worker may put files."""
    return settings.state_dir / "stream-processor"


def _connection(settings: Settings) -> dict[str, Any]:
    servers = settings.kafka_bootstrap_servers.split(",")
    options: dict[str, Any] = {"broker": ";".join(f"kafka://{server.strip()}" for server in servers)}
    encrypted = ssl_context(settings) if settings.kafka_security_protocol.endswith("SSL") else None
    if settings.kafka_sasl_mechanism and settings.kafka_sasl_password:
        options["broker_credentials"] = _sasl(settings, encrypted)
    elif encrypted:
        options["broker_credentials"] = SSLCredentials(encrypted)
    return options


def _sasl(settings: Settings, encrypted: ssl.SSLContext | None) -> SASLCredentials:
    assert settings.kafka_sasl_password is not None
    credentials = SASLCredentials(
        username=settings.kafka_sasl_username,
        password=settings.kafka_sasl_password.get_secret_value(),
        ssl_context=encrypted,
    )
    # Faust spells SCRAM-SHA-512 with underscores, which aiokafka refuses.
    credentials.mechanism = SimpleNamespace(value=settings.kafka_sasl_mechanism)  # type: ignore[assignment]
    return credentials
