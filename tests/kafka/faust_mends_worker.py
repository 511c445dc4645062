"""A worker that counts: what `stream_processor` does, with a state that shows every lost or doubled record.

Started as a process by the tests. For each source partition it keeps one row `[last offset, records, sum]` of the
integers that the records hold, and before each row it sends the span of offsets that the row takes in.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import faust
import msgspec

from runtime.settings import load_settings
from schemas.topics import DETECTION_CHANGELOG, EVENTS, INCIDENT_EVENTS, INCIDENT_STATUS
from stream_processor import faust_mends
from stream_processor.batching import RecordBatch
from stream_processor.durable_table import DurableTable, Outgoing, send_durably


def build(bootstrap: str, state_dir: str) -> faust.App:
    """The counting app."""
    settings = load_settings(
        kafka_bootstrap_servers=bootstrap, state_dir=Path(state_dir), kafka_session_timeout_ms=6000
    )
    app = faust.App("ops.counting", **faust_mends.recommended_options(settings))
    faust_mends.install(app, distrust_end_offsets=os.environ.get("DISTRUST_END_OFFSETS") == "1")
    raw: dict[str, Any] = {"key_type": bytes, "value_type": bytes, "key_serializer": "raw", "value_serializer": "raw"}
    source = app.topic(EVENTS, INCIDENT_STATUS, **raw)

    async def tell(partitions: frozenset[int]) -> None:
        sys.stdout.write(f"recovered {sorted(partitions)}\n")
        sys.stdout.flush()

    table: DurableTable = app.Table(
        "counts",
        key_type=bytes,
        value_type=bytes,
        changelog_topic=app.topic(DETECTION_CHANGELOG, acks=False, internal=True, **raw),
        on_recovered=tell,
    )
    poison = int(os.environ.get("POISON", "-1"))

    @app.agent(source)
    async def count(stream: faust.StreamT[RecordBatch]) -> None:
        async for event in stream.noack().events():
            async with faust_mends.finishing(event):
                await take_in(app, table, event.value, poison)

    return app


async def take_in(app: faust.App, table: DurableTable, batch: RecordBatch, poison: int) -> None:
    """Add the records of a batch that the row does not hold yet."""
    first = batch.records[0]
    key = f"{first.topic}|{first.partition}".encode()
    last, records, total = msgspec.json.decode(table.get(key, b"[-1,0,0]"))
    new = [record for record in batch.records if record.offset > last]
    if not new:
        return
    values = [int(record.value or b"0") for record in new]
    if poison in values:
        raise ValueError("a poisoned record")
    span = msgspec.json.encode([new[0].offset, new[-1].offset])
    await send_durably(app, first.partition, [Outgoing(INCIDENT_EVENTS, first.partition, key, span)])
    row = msgspec.json.encode([new[-1].offset, records + len(new), total + sum(values)])
    await table.write(first.partition, {key: row})


async def main(bootstrap: str, state_dir: str) -> None:
    """Run until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await faust_mends.run(build(bootstrap, state_dir), stop)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
