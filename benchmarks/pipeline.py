"""What an event costs in each part of a running pipeline: CPU seconds, bytes in Kafka, bytes in PostgreSQL.

Usage: python -m benchmarks.pipeline [--singles N] [FILE]

Runs `ops-assist up` on Apache Kafka and a PostgreSQL of its own, sends a file of events (default: the real logs of the
tests) in batches, N events one by one and more as records of their own, waits until all of it is in the view and prints
events for each CPU second of each process. Counting CPU seconds, not the clock, it bears other work on the machine.
"""

import argparse
import asyncio
import gzip
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Final

import asyncpg
import httpx
import msgspec
import psutil
from confluent_kafka import Producer

from benchmarks.view_sizes import print_sizes
from deploy.brokers.ports import free_port
from deploy.postgres import DATABASE, USER
from schemas.topics import EVENTS

_DATA: Final = "tests/data/train_ticket_day1.jsonl.gz"
_PORTS: Final = (
    "HTTP_PORT", "DASHBOARD_PORT", "PROCESSOR_PORT", "ANALYZER_PORT", "MATERIALIZER_PORT", "BROKER_PORT",
    "POSTGRES_PORT",
)  # fmt: skip
_PARTS: Final = {
    "ops_assist.front_door": "gateway",
    "stream_processor": "processor",
    "query_api.materializer": "materializer",
    "analyzer_worker": "analyzer",
    "kafka.Kafka": "Kafka",
    "postgres": "PostgreSQL",
}
_CONNECTIONS: Final = 32
_RECORDS: Final = 100_000
_PATIENCE: Final = 600.0


@contextmanager
def _pipeline(environment: Mapping[str, str]) -> Iterator[psutil.Process]:
    process = subprocess.Popen([sys.executable, "-m", "ops_assist", "up"], env=environment, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith(b"ready:"):
                break
        yield psutil.Process(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _database_url(state_dir: Path, port: str) -> str:
    password = (state_dir / "postgres" / "password").read_text().strip()
    return f"postgresql://{USER}:{password}@127.0.0.1:{port}/{DATABASE}"


def _cpu_seconds(up: psutil.Process) -> dict[str, float]:
    """What each part has used so far; the processes of PostgreSQL that have ended count with their parent."""
    used = dict.fromkeys(_PARTS.values(), 0.0)
    for process in up.children(recursive=True):
        try:
            command, times = " ".join(process.cmdline()), process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        part = next((part for word, part in _PARTS.items() if word in command), None)
        if part:
            used[part] += times.user + times.system + times.children_user + times.children_system
    return used


async def _stored(url: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM events"))
    finally:
        await connection.close()


def _wait_for(url: str, events: int) -> None:
    deadline = time.monotonic() + _PATIENCE
    while asyncio.run(_stored(url)) < events:
        assert time.monotonic() < deadline, "not everything came into the view"
        time.sleep(0.5)


def _report(title: str, events: int, before: dict[str, float], after: dict[str, float], seconds: float) -> None:
    print(f"{title}: {events:,} events in {seconds:,.0f} s")  # noqa: T201
    for part, used in after.items():
        spent = used - before[part]
        print(f"  {part:14} {spent:7.1f} CPU s  {events / max(spent, 0.01):10,.0f} events/CPU s")  # noqa: T201


async def _send_singles(url: str, count: int) -> None:
    async def lane(client: httpx.AsyncClient, number: int) -> None:
        event = {"service": f"single-{number}", "level": "INFO", "message": "request served in 12 ms"}
        for _ in range(count // _CONNECTIONS):
            (await client.post("/api/v1/events", json=event)).raise_for_status()

    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        await asyncio.gather(*(lane(client, number) for number in range(_CONNECTIONS)))


def _kafka_bytes(state_dir: Path) -> dict[str, int]:
    """Bytes of the segments of each topic."""
    found: dict[str, int] = {}
    for segment in state_dir.rglob("*.log"):
        topic = segment.parent.name.rpartition("-")[0]
        if topic.startswith("ops."):
            found[topic] = found.get(topic, 0) + segment.stat().st_size
    return found


def main() -> None:
    """Run it all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", default=_DATA)
    parser.add_argument("--singles", type=int, default=16_000)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        ports = {name: str(free_port()) for name in _PORTS}
        environment = os.environ | ports | {"STATE_DIR": directory, "BROKER": "kafka"}
        api = f"http://127.0.0.1:{ports['HTTP_PORT']}"
        with _pipeline(environment) as up:
            database = _database_url(Path(directory), ports["POSTGRES_PORT"])
            _measure(up, api, database, f"127.0.0.1:{ports['BROKER_PORT']}", wanted)
            asyncio.run(print_sizes(database))
            for topic, size in sorted(_kafka_bytes(Path(directory)).items()):
                print(f"Kafka, {topic}: {size:,} bytes")  # noqa: T201


def _measure(up: psutil.Process, api: str, database: str, bootstrap_servers: str, wanted: argparse.Namespace) -> None:
    before, began, start = _cpu_seconds(up), time.monotonic(), asyncio.run(_stored(database))
    subprocess.run([sys.executable, "-m", "ops_assist", "send", wanted.file, "--url", api], check=True)  # noqa: S603 - our own
    events = sum(1 for _ in _lines(wanted.file))
    _wait_for(database, start + events)
    between = _cpu_seconds(up)
    _report("in batches of 1,000", events, before, between, time.monotonic() - began)
    began = time.monotonic()
    asyncio.run(_send_singles(api, wanted.singles))
    _wait_for(database, start + events + wanted.singles)
    before = _cpu_seconds(up)
    _report("one by one over HTTP", wanted.singles, between, before, time.monotonic() - began)
    began, start = time.monotonic(), asyncio.run(_stored(database))
    count = _write_records(bootstrap_servers, islice(_lines(wanted.file), _RECORDS))
    _wait_for(database, start + count)
    _report("one a record, straight to Kafka", count, before, _cpu_seconds(up), time.monotonic() - began)


def _lines(file: str) -> Iterator[bytes]:
    with gzip.open(file) if file.endswith(".gz") else Path(file).open("rb") as lines:
        yield from lines


def _write_records(bootstrap_servers: str, lines: Iterable[bytes]) -> int:
    """Each event as a record of its own, in its home partition, as fast as it goes; gives how many."""
    producer = Producer({"bootstrap.servers": bootstrap_servers, "partitioner": "murmur2_random", "linger.ms": 20})
    count = 0
    for line in lines:
        event = msgspec.json.decode(line)
        event["service"] = f"again-{event['service']}"  # of the same service they would be late by now
        while True:
            try:
                producer.produce(EVENTS, msgspec.json.encode(event), event["service"].encode())
                break
            except BufferError:
                producer.poll(0.1)
        count += 1
    assert not producer.flush(60)
    return count


if __name__ == "__main__":
    main()
