"""A worker that counts: what `stream_processor` does, with a state that shows every lost or doubled record.

The tests start it as a process. For each source partition it keeps one row `[last offset, records, sum]` of the
integers that the records hold, and before each row it sends the span of offsets that the row takes in.
"""

import asyncio
import signal
import sys
from pathlib import Path
from typing import Any

import faust
import msgspec

from runtime.settings import load_settings
from stream_processor import faust_mends
from stream_processor.batching import RecordBatch
from stream_processor.durable_table import DurableTable, send_durably
from stream_processor.outgoing import Outgoing

RAW: dict[str, Any] = {"key_type": bytes, "value_type": bytes, "key_serializer": "raw", "value_serializer": "raw"}


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker is to do; it travels to the process as JSON."""

    bootstrap_servers: str
    state_dir: str
    group: str
    source: str
    changelog: str
    spans: str
    poison: int | None = None
    """A record with this number makes the agent raise."""
    mended: bool = True
    """False: Faust as it comes, to show what it loses."""
    distrust_end_offsets: bool = False


def build(job: Job) -> faust.App:
    """The counting app."""
    settings = load_settings(
        _env_file=None,
        kafka_bootstrap_servers=job.bootstrap_servers,
        state_dir=Path(job.state_dir),
        kafka_session_timeout_ms=3_000,
    )
    app = faust.App(job.group, **faust_mends.recommended_options(settings))
    faust_mends.install(app, distrust_end_offsets=job.distrust_end_offsets)
    table: DurableTable = app.Table(  # type: ignore[assignment]  # the options say which class it is
        "counts",
        key_type=bytes,
        value_type=bytes,
        changelog_topic=app.topic(job.changelog, acks=False, internal=True, **RAW),
        on_recovered=_say_recovered,
    )

    async def count(stream: Any) -> None:
        async for event in stream.noack().events():
            async with faust_mends.finishing(event):
                await _take_in(job, app, table, event.value)

    app.agent(app.topic(job.source, **RAW), name="count")(count)
    return app


async def _say_recovered(partitions: frozenset[int]) -> None:
    sys.stdout.write(f"recovered {sorted(partitions)}\n")
    sys.stdout.flush()


async def _take_in(job: Job, app: faust.App, table: DurableTable, batch: RecordBatch) -> None:
    """Add the records of a batch that the row does not hold yet."""
    partition = batch.records[0].partition
    key = b"%d" % partition
    last, records, total = msgspec.json.decode(table.get(key, b"[-1,0,0]"))
    new = [record for record in batch.records if record.offset > last]
    values = [int(record.value or b"0") for record in new]
    if job.poison in values:
        raise ValueError("a poisoned record")
    if new:
        span = msgspec.json.encode([new[0].offset, new[-1].offset])
        await send_durably(app, partition, [Outgoing(job.spans, partition, key, span)])
        row = msgspec.json.encode([new[-1].offset, records + len(new), total + sum(values)])
        await table.write(partition, {key: row})


def build_plain(job: Job) -> faust.App:
    """An app of plain Faust 0.15.3 whose agent raises at the poisoned record."""
    Path(job.state_dir).mkdir(parents=True, exist_ok=True)
    app = faust.App(
        job.group,
        broker=f"kafka://{job.bootstrap_servers}",
        datadir=f"{job.state_dir}/plain",
        topic_disable_leader=True,
        topic_allow_declare=False,
        broker_commit_interval=0.2,
        broker_session_timeout=3,
        broker_heartbeat_interval=0.7,
        web_enabled=False,
    )

    async def count(stream: Any) -> None:
        async for value in stream:
            if int(value) == job.poison:
                raise ValueError("a poisoned record")

    app.agent(app.topic(job.source, **RAW), name="count")(count)
    return app


async def main(job: Job) -> None:
    """Run until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await faust_mends.run(build(job) if job.mended else build_plain(job), stop)


if __name__ == "__main__":
    asyncio.run(main(msgspec.json.decode(sys.argv[1], type=Job)))
