"""Recovery and changelog writes: what plain Faust 0.15.3 loses, step by step, and what the mends do instead.

A test called `test_plain_...` fails when a new Faust no longer has the fault: its mend can then go.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import faust
import pytest
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError, MessageSizeTooLargeError
from faust.tables.recovery import Recovery
from faust.transport.producer import ProducerBuffer
from faust.types import TP
from mode.utils.queues import FlowControlEvent, FlowControlQueue

from runtime.settings import Settings, load_settings
from stream_processor import durable_table, faust_mends
from stream_processor.batching import BatchConsumer, consumer_of
from stream_processor.disk_rows import DiskRows
from stream_processor.durable_table import DurableTable, PartitionLost, send_durably
from stream_processor.faust_mends import SoundRecovery, WrongFaustVersion
from stream_processor.outgoing import Outgoing
from stream_processor.row_store import MemoryRows

SOURCE = TP("events", 0)
CHANGELOG = TP("changelog", 0)


class EagerFetcher:
    """A consumer whose fetcher delivers a record the moment that a source partition may be read."""

    def __init__(self, queue: "FlowControlQueue[str]") -> None:
        self.queue = queue

    def assignment(self) -> set[TP]:
        """One source partition."""
        return {SOURCE}

    def resume_partitions(self, tps: Iterable[TP]) -> None:
        """Faust's way to begin reading."""
        if SOURCE in tps and not self.gated:
            self.queue.put_nowait("event")

    gated = False

    def open_sources(self, sources: Iterable[TP], generation: int) -> None:
        """The mended way to begin reading."""
        assert SOURCE in sources
        assert generation == 1
        self.queue.put_nowait("event")

    async def perform_seek(self) -> None:
        """Seek nowhere: nothing was committed yet."""

    def resume_flow(self) -> None:
        """Let Faust's flow run."""


def recovery_around(consumer: EagerFetcher, flow: FlowControlEvent) -> Any:
    """What the last step of a recovery touches."""

    async def nothing(*_: Any) -> None:
        pass

    app = SimpleNamespace(
        consumer=consumer,
        consumer_generation_id=1,
        flow_control=flow,
        on_rebalance_complete=SimpleNamespace(send=nothing),
        conf=SimpleNamespace(broker_request_timeout=1.0),
        assignor=SimpleNamespace(assigned_standbys=set),
        on_rebalance_end=lambda: None,
        _fetcher=SimpleNamespace(maybe_start=nothing),
    )

    async def wait(waited: Any, **_: Any) -> None:
        await waited

    return SimpleNamespace(
        app=app,
        tables=SimpleNamespace(values=list, on_actives_ready=lambda: None, on_standbys_ready=lambda: None),
        completed=asyncio.Event(),
        log=SimpleNamespace(info=lambda *_: None, dev=lambda *_: None),
        _wait=wait,
        _set_recovery_ended=lambda: None,
        _is_changelog_tp=lambda tp: tp == CHANGELOG,
    )


@pytest.fixture
def flow() -> FlowControlEvent:
    """Flow control as it stands after the changelogs were read: running."""
    flow = FlowControlEvent()
    flow.resume()
    return flow


@pytest.fixture
def queue(flow: FlowControlEvent) -> "FlowControlQueue[str]":
    """The queue between the fetcher and the agent."""
    return FlowControlQueue(maxsize=10, flow_control=flow, clear_on_resume=True)


async def test_plain_recovery_throws_away_what_is_fetched_while_it_ends(
    flow: FlowControlEvent, queue: "FlowControlQueue[str]"
) -> None:
    """Faust issue 596: sources are resumed, then the queues are cleared; the next commit goes over the hole."""
    await Recovery.on_recovery_completed(recovery_around(EagerFetcher(queue), flow), 1)
    assert queue.empty()


async def test_recovery_reads_sources_only_after_the_queues_were_cleared(
    flow: FlowControlEvent, queue: "FlowControlQueue[str]", monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gate opens last, so what comes through it stays."""
    consumer = EagerFetcher(queue)
    consumer.gated = True
    monkeypatch.setattr(faust_mends, "consumer_of", lambda app: app.consumer)
    await SoundRecovery._open(recovery_around(consumer, flow), {SOURCE}, 1)
    assert queue.get_nowait() == "event"


async def test_plain_recovery_is_complete_without_a_row_that_it_could_not_apply() -> None:
    """An exception is a warning, and the offset is counted as recovered all the same."""

    class Table:
        recovery_buffer_size = 1

        async def on_changelog_event(self, _: Any) -> None:
            raise ValueError("unreadable row")

    ends: asyncio.Queue[Any] = asyncio.Queue()
    stopped = iter([False, True])

    class State(SimpleNamespace):
        @property
        def should_stop(self) -> bool:
            return next(stopped)

    table = Table()
    state = State(
        tables=SimpleNamespace(changelog_queue=ends, standbys_ready=True),
        tp_to_table={CHANGELOG: table},
        active_tps={CHANGELOG},
        standby_tps=set(),
        active_offsets={CHANGELOG: -1},
        standby_offsets={},
        _active_events_received_at={},
        _standby_events_received_at={},
        buffers={table: []},
        buffer_sizes={},
        _processing_times=[],
        active_highwaters={CHANGELOG: 0},
        signal_recovery_end=asyncio.Event(),
        app=SimpleNamespace(in_transaction=False),
    )
    ends.put_nowait(SimpleNamespace(message=SimpleNamespace(tp=CHANGELOG, offset=0)))
    await Recovery._slurp_changelogs.fun(state)
    assert state.active_offsets == {CHANGELOG: 0}
    assert Recovery.active_remaining(state)[CHANGELOG] == 0  # type: ignore[arg-type]


async def test_plain_flush_gives_up_on_a_stalled_producer() -> None:
    """After 0.1 s without progress Faust goes on to commit, with changelog records still in the queue."""
    buffer = ProducerBuffer()
    buffer.app = SimpleNamespace(conf=SimpleNamespace(producer_threaded=False))  # type: ignore[assignment]
    buffer._started.set()
    for number in range(10):
        buffer.put(number)  # type: ignore[arg-type]
    await buffer.flush()
    assert buffer.size == 10


async def test_plain_faust_takes_a_failed_changelog_record_for_a_warning() -> None:
    """The error of the broker reaches nobody who could stop the commit."""
    topic = faust.App("swallow", broker="kafka://127.0.0.1:1").topic("changelog")
    failed: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    failed.set_exception(KafkaTimeoutError())
    message = asyncio.get_running_loop().create_future()
    message.message = SimpleNamespace(channel=topic, callback=None)  # type: ignore[attr-defined]
    topic._on_published(failed, message, None, None)  # type: ignore[attr-defined]
    assert isinstance(message.exception(), KafkaTimeoutError)


# --- durable writes -------------------------------------------------------------------------------------------


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[faust.App]:
    """A mended app that is never started, which owns partition 0 and was just confirmed by its group."""
    app = faust.App("durable", **faust_mends.recommended_options(settings(tmp_path)))
    faust_mends.install(app)
    consumer = consumer_of(app)
    consumer.open_sources([SOURCE], generation=1)
    consumer._thread.confirmed_at = float("inf")
    yield app
    consumer._thread.thread_loop.close()


def settings(tmp_path: Path) -> Settings:
    """Settings that name a broker which is never asked."""
    return load_settings(_env_file=None, kafka_bootstrap_servers="127.0.0.1:1", state_dir=tmp_path)


@pytest.fixture(params=["memory", "disk"])
def table(request: pytest.FixtureRequest, app: faust.App, tmp_path: Path) -> Iterator[DurableTable]:
    """Its table, on each store."""
    store = MemoryRows() if request.param == "memory" else DiskRows(tmp_path / "rows")
    made = app.Table("rows", key_type=bytes, value_type=bytes, row_store=store)
    assert isinstance(made, DurableTable)
    yield made
    if isinstance(store, DiskRows):
        store.close()


class Broker:
    """Stands for the producer: takes records, or fails as it is told."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.taken: list[Outgoing] = []

    async def send(self, _producer: Any, records: Iterable[Outgoing]) -> None:
        """Fail while there are failures left."""
        if self.failures:
            raise self.failures.pop(0)
        self.taken += records


def use(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let durable sends go to this broker, and try again at once."""
    monkeypatch.setattr(durable_table, "_producer_of", lambda _: None)
    monkeypatch.setattr(durable_table, "_send", broker.send)
    monkeypatch.setattr(durable_table, "_RETRY_SECONDS", 0)


async def test_rows_are_in_the_store_once_the_broker_has_them(
    table: DurableTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One changelog record for each row, in the partition it belongs to; None deletes."""
    broker = Broker()
    use(broker, monkeypatch)
    await table.write(0, {b"a": b"1", b"b": b"2"})
    await table.write(0, {b"a": None})
    assert dict(table.rows(0)) == {b"b": b"2"}
    assert [(row.partition, row.key, row.value) for row in broker.taken] == [
        (0, b"a", b"1"),
        (0, b"b", b"2"),
        (0, b"a", None),
    ]


async def test_a_row_that_the_broker_refuses_is_not_in_the_store(
    table: DurableTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error reaches the caller, who must not acknowledge the event."""
    use(Broker(MessageSizeTooLargeError()), monkeypatch)
    with pytest.raises(MessageSizeTooLargeError):
        await table.write(0, {b"a": b"1"})
    assert table.get(b"a") is None


async def test_rows_are_sent_again_while_the_broker_is_away(
    table: DurableTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An outage delays a write and loses nothing."""
    use(Broker(KafkaConnectionError(), KafkaTimeoutError()), monkeypatch)
    await table.write(0, {b"a": b"1"})
    assert table[b"a"] == b"1"


async def test_a_write_that_failed_while_the_partition_goes_is_left_to_the_next_owner(
    app: faust.App, table: DurableTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not tried again: a row that lands after the next owner has recovered would undo that owner's work."""
    use(Broker(KafkaConnectionError()), monkeypatch)
    consumer_of(app).stop_flow()
    with pytest.raises(PartitionLost):
        await table.write(0, {b"a": b"1"})


@pytest.mark.parametrize("partition", [0, 1])
async def test_only_the_owner_may_write(
    partition: int, app: faust.App, table: DurableTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A partition that is not, or no longer, this worker's is refused before anything is sent."""
    broker = Broker()
    use(broker, monkeypatch)
    await consumer_of(app).wait_empty()
    with pytest.raises(PartitionLost):
        await table.write(partition, {b"a": b"1"})
    assert not broker.taken


async def test_a_worker_that_was_away_too_long_writes_nothing(app: faust.App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Frozen for longer than its session, it may have been replaced without knowing: it waits for its group."""
    broker = Broker()
    use(broker, monkeypatch)
    consumer = consumer_of(app)
    consumer._thread.confirmed_at = float("-inf")
    sending = asyncio.create_task(send_durably(app, 0, [Outgoing("out", 0, b"k", b"v")]))
    await asyncio.sleep(0)
    consumer.stop_flow()
    with pytest.raises(PartitionLost):
        await sending
    assert not broker.taken


async def test_rows_are_changed_by_write_alone(table: DurableTable) -> None:
    """Faust's own assignment could not wait for the broker."""
    with pytest.raises(TypeError, match="write"):
        table[b"a"] = b"1"


def test_another_faust_is_refused(app: faust.App, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mends reach into what they were read against."""
    monkeypatch.setattr(faust, "__version__", "0.16.0")
    with pytest.raises(WrongFaustVersion, match=r"0\.15\.3.*0\.16\.0"):
        faust_mends.install(app)


def test_every_consumer_of_a_mended_app_is_the_mended_one(app: faust.App) -> None:
    """The transport makes it, whoever asks first."""
    assert isinstance(app.consumer, BatchConsumer)
