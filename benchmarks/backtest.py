"""How fast backtests are: events a CPU second from a file and from a topic, beside decoding alone.

`python -m benchmarks.backtest` makes 10 million events (25% errors, 1,000 services) and tells, for one process, events
per second of CPU, memory at a tenth and at the end, and what the file costs when it is only decoded. With
`--kafka HOST:PORT` the same events are written to a topic of their own, packed as gateways pack them, and read back.
"""

import argparse
import asyncio
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec
from aiokafka.admin import NewTopic

from runtime.kafka import admin_client, make_producer, reader
from runtime.settings import Settings, load_settings
from schemas.event import WireEvent
from schemas.placement import home_partition
from schemas.timestamps import MICROSECONDS, to_rfc3339
from stream_processor.backtest.files import blocks
from stream_processor.backtest.passes import Files, TopicRange, run_pass
from stream_processor.backtest.topic_range import find_ranges
from stream_processor.rules import rules_from_settings

SERVICES: Final = 1_000
ERRORS: Final = 0.25
PARTITIONS: Final = 6
START: Final = 1_767_225_600
PER_SECOND: Final = 5_000
"""Events a second of event time: five a second of each service."""
PACKED: Final = 200
CHUNK: Final = 200_000

_MIB: Final = 1024


def lines(count: int) -> Iterator[tuple[str, bytes]]:
    """Service and line of each event; bursts of errors come and go, so that incidents open and end."""
    dice = random.Random(6)  # noqa: S311 - not a secret
    names = [f"service-{number}" for number in range(SERVICES)]
    for number in range(count):
        service = names[dice.randrange(SERVICES)]
        level = "ERROR" if dice.random() < ERRORS else "INFO"
        at = to_rfc3339(START * MICROSECONDS + number * MICROSECONDS // PER_SECOND)
        yield (
            service,
            (
                f'{{"service":"{service}","level":"{level}","message":"request {number} took {number % 977} ms",'
                f'"timestamp":"{at}","id":"{number:016x}"}}'
            ).encode(),
        )


def write(path: Path, count: int) -> None:
    """The events as a file."""
    with path.open("wb") as file:
        file.writelines(line + b"\n" for _, line in lines(count))


def decode_only(path: Path) -> None:
    """The bound: every line decoded and checked, and nothing done with it."""
    decode = msgspec.json.Decoder(WireEvent).decode_lines
    for block in blocks(path, lambda _: None):
        decode(block)


def measured(what: str, count: int, work: Callable[[], object]) -> None:
    """Run it and say how fast it was."""
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // _MIB
    sys.stdout.write(
        f"{what:<28} {count / cpu:>12,.0f} events/CPU s {count / wall:>12,.0f} events/s {peak:>6} MiB peak\n"
    )
    sys.stdout.flush()


async def fill(settings: Settings, topic: str, count: int) -> None:
    """Write the events to a topic: arrays of one service, in its place."""
    async with admin_client(settings) as admin:
        await admin.create_topics([NewTopic(topic, PARTITIONS, 1, topic_configs={"max.message.bytes": "2097152"})])
    producer = make_producer(settings, "benchmark")
    await producer.start()
    waiting: dict[str, list[bytes]] = {}
    sent = []
    for service, line in lines(count):
        pack = waiting.setdefault(service, [])
        pack.append(line)
        if len(pack) == PACKED:
            value = b"[" + b",".join(waiting.pop(service)) + b"]"
            sent.append(await producer.send(topic, value, service.encode(), home_partition(service, PARTITIONS)))
    for service, pack in waiting.items():
        value = b"[" + b",".join(pack) + b"]"
        sent.append(await producer.send(topic, value, service.encode(), home_partition(service, PARTITIONS)))
    await asyncio.gather(*sent)
    await producer.stop()


async def source_of(settings: Settings, topic: str) -> TopicRange:
    """The whole topic."""
    async with reader(settings) as consumer:
        return TopicRange(
            settings, topic, PARTITIONS, await find_ranges(consumer, topic, range(PARTITIONS), None, None)
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--kafka", default="")
    chosen = parser.parse_args()
    settings = load_settings(kafka_bootstrap_servers=chosen.kafka)
    rules = [rules_from_settings(settings)]
    with tempfile.TemporaryDirectory() as directory:
        path, tenth = Path(directory) / "events.jsonl", Path(directory) / "tenth.jsonl"
        write(path, chosen.events)
        write(tenth, chosen.events // 10)
        measured("file, decoded only", chosen.events, lambda: decode_only(path))
        measured("file, a tenth", chosen.events // 10, lambda: run_pass(Files([tenth]), rules, 1, lambda _: None))
        measured("file", chosen.events, lambda: run_pass(Files([path]), rules, 1, lambda _: None))
    if chosen.kafka:
        topic = f"benchmark-{time.time_ns()}"
        asyncio.run(fill(settings, topic, chosen.events))
        source = asyncio.run(source_of(settings, topic))
        measured("Kafka", chosen.events, lambda: run_pass(source, rules, 1, lambda _: None))


if __name__ == "__main__":
    main()
