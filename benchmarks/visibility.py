"""How long after its acknowledgement an incident record stands in the view: one at a time, on Apache Kafka.

Usage: python -m benchmarks.visibility [records]

Runs the materializer against a broker and a PostgreSQL of its own and prints percentiles in milliseconds. The time
includes asking PostgreSQL, every millisecond, whether the row is there.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from statistics import quantiles
from typing import Any

from aiokafka import AIOKafkaProducer

from deploy.brokers.apache_kafka import ApacheKafka
from deploy.postgres import EmbeddedPostgres
from query_api.database import connect
from query_api.materializer.consumer import Materializer
from query_api.migrate import migrate
from runtime.kafka import ensure_topics, make_producer
from runtime.settings import Settings, load_settings
from schemas.codec import encode
from schemas.incident import Incident
from schemas.placement import home_partition
from schemas.topics import INCIDENTS

_SERVICE = "checkout"
_POLL_SECONDS = 0.001


def _record(version: int, partition: int) -> bytes:
    now = time.time_ns() // 1000
    return encode(
        Incident(
            key=_SERVICE,
            version=version,
            service=_SERVICE,
            rule="error-burst",
            status="open",
            event_count=4 + version,
            first_event_at=now,
            last_event_at=now,
            created_at=now,
            updated_at=now,
            threshold=5,
            window=300_000_000,
            reason="a benchmark",
            partition=partition,
            samples=[],
            timeline=[],
        )
    )


async def _delay(producer: AIOKafkaProducer, connection: Any, version: int, partition: int) -> float:
    await producer.send_and_wait(INCIDENTS, _record(version, partition), _SERVICE.encode(), partition)
    acknowledged = time.perf_counter()
    query = "SELECT 1 FROM incidents WHERE key = $1 AND version = $2"
    while not await connection.fetchval(query, _SERVICE, version):  # noqa: ASYNC110 - a row sets no event
        await asyncio.sleep(_POLL_SECONDS)
    return time.perf_counter() - acknowledged


async def measure(settings: Settings, records: int) -> list[float]:
    """The delay of each record, in seconds; the first, which waits for the group to settle, is left out."""
    partition = home_partition(_SERVICE, await ensure_topics(settings))
    await migrate(settings.database_url)
    materializer = Materializer(settings)
    running = asyncio.create_task(materializer.run())
    producer = make_producer(settings, "benchmark")
    await producer.start()
    connection = await connect(settings.database_url)
    try:
        return [await _delay(producer, connection, version, partition) for version in range(1, records + 2)][1:]
    finally:
        await connection.close()
        await producer.stop()
        materializer.stop()
        await running


def main(records: int) -> None:
    """Start, measure, print."""
    with tempfile.TemporaryDirectory() as name:
        broker, postgres = ApacheKafka(Path(name)), EmbeddedPostgres(Path(name))
        try:
            broker.start()
            postgres.start()
            settings = load_settings(
                _env_file=None, kafka_bootstrap_servers=broker.bootstrap_servers, database_url=postgres.url
            )
            percentiles = quantiles(asyncio.run(measure(settings, records)), n=100)
        finally:
            postgres.stop()
            broker.stop()
    shown = ", ".join(f"p{number} {percentiles[number - 1] * 1000:.0f} ms" for number in (50, 95, 99))
    sys.stdout.write(f"acknowledged to visible, {records:,} records one after the other: {shown}\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000)
