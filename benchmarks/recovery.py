"""How long a stream processor takes to read the state of 200,000 services back from Apache Kafka.

Usage: [STATE_STORE=disk] python -m benchmarks.recovery [services]

Writes the rows of `benchmarks.state_memory` to the changelog of a broker of its own, then starts `stream_processor` and
waits until it is ready: that includes the start of Python, joining the group and reading the changelog.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import psutil

from benchmarks.state_memory import kinds, rows_of
from deploy.brokers.apache_kafka import ApacheKafka
from runtime.kafka import ensure_topics, make_producer
from runtime.settings import Settings, load_settings
from schemas.placement import home_partition
from schemas.topics import DETECTION_CHANGELOG
from stream_processor.layout import check_layout

_PORT = 18_001
_POLL_SECONDS = 0.05
_PATIENCE_SECONDS = 300


async def write_state(settings: Settings, services: int) -> int:
    """Write the rows of so many services to the changelog; gives their bytes."""
    partitions = await ensure_topics(settings)
    await check_layout(settings, partitions)
    size = 0
    producer = make_producer(settings, "benchmark", linger_ms=50)
    await producer.start()
    for number in range(services):
        service = f"team-{number % 97}/service-{number}"
        _, events, level = kinds()[number % 6]
        for key, value in rows_of(service, events, level).items():
            size += len(key) + len(value or b"")
            await producer.send(DETECTION_CHANGELOG, value, key, home_partition(service, partitions))
    await producer.stop()
    return size


def start_processor(settings: Settings, state_dir: Path) -> tuple[float, int, str]:
    """Start a processor and wait until it is ready; gives seconds, resident bytes and its log."""
    environment = {
        **os.environ,
        "KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
        "PROCESSOR_PORT": str(_PORT),
        "STATE_DIR": str(state_dir),
        "LOG_FORMAT": "json",
    }
    started = time.perf_counter()
    with (state_dir / "processor.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "stream_processor"], env=environment, stdout=log, stderr=log)
    try:
        while not is_ready():
            if process.poll() is not None or time.perf_counter() - started > _PATIENCE_SECONDS:
                sys.exit(f"the processor did not become ready: {(state_dir / 'processor.log').read_text()[-2000:]}")
            time.sleep(_POLL_SECONDS)
        seconds = time.perf_counter() - started
        return seconds, psutil.Process(process.pid).memory_info().rss, (state_dir / "processor.log").read_text()
    finally:
        process.terminate()
        process.wait(30)


def is_ready() -> bool:
    """Whether the processor reads events."""
    try:
        return httpx.get(f"http://127.0.0.1:{_PORT}/readyz").is_success
    except httpx.TransportError:
        return False


def main(services: int) -> None:
    """Fill, start, print."""
    with tempfile.TemporaryDirectory() as name:
        state_dir = Path(name)
        broker = ApacheKafka(state_dir)
        broker.start()
        try:
            settings = load_settings(_env_file=None, kafka_bootstrap_servers=broker.bootstrap_servers)
            size = asyncio.run(write_state(settings, services))
            seconds, resident, log = start_processor(settings, state_dir)
        finally:
            broker.stop()
    recovered = next(json.loads(line) for line in log.splitlines() if "state_recovered" in line)
    report = (
        f"{services:,} services, {size / 2**20:,.0f} MiB of rows, {settings.topic_partitions} partitions",
        f"  changelog read in {recovered['seconds']:>7.1f} s ({recovered['rows']:,} rows)",
        f"  start to ready    {seconds:>7.1f} s",
        f"  resident          {resident / 2**20:>7,.0f} MiB",
    )
    sys.stdout.write("\n".join(report) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000)
