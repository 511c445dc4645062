"""Records as the code of one commit writes them, one JSON object a line: `python -m tests.support.record_samples FILE`.

It uses only what every release has had, so that it can be run on an older tree, and asks the types which fields they
have. What detection publishes and keeps comes from the processor itself, over memory.
"""

import asyncio
import base64
import importlib
import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from schemas import topics
from schemas.codec import encode
from schemas.placement import home_partition
from schemas.timestamps import MICROSECONDS, to_rfc3339
from stream_processor.processor import Processor
from stream_processor.rules import CountRule, RuleSet
from tests.support.memory_log import LogRecord, MemoryPublisher, MemoryRows

PARTITIONS: Final = 2
_START: Final = 1_699_990_000
_HOUR: Final = 3_600
_LEVELS: Final = ("ERROR", "CRITICAL", "FATAL")
_TOLD: Final[dict[str, Any]] = {
    "request_id": "request-1",
    "revision": 1_700_000_000_000_000,
    "category": "database_issue",
    "severity": "P1",
    "summary": "The connection pool is exhausted.",
    "recommended_actions": ["Look for connections that are never given back."],
    "confidence": 0.8,
    "analyzed_by": "rules",
    "analysis_status": "done",
    "reason": "pool exhausted",
    "cost_usd": 0.002,
    "latency_ms": 12,
    "event_count": 5,
    "templates": ["a1b2c3"],
    "attempts": 1,
    "shared_with": "another-incident",
    "input_tokens": 900,
    "output_tokens": 100,
    "actor": "ann",
    "at": 1_700_000_000_000_000,
    "change_id": "change-1",
    "to_status": "resolved",
    "note": "fixed: größer ✓",
    "verdict": "noise",
    "id": "missed-1",
    "start": _START * MICROSECONDS,
    "end": (_START + 60) * MICROSECONDS,
}


def samples() -> Iterator[dict[str, Any]]:
    """A record of every kind that this tree writes."""
    published, rows, fed = asyncio.run(_detected())
    for record in fed:
        yield _line(topics.EVENTS, record.key, record.value)
    for record in published:
        yield _line(record.topic, record.key, record.value, record.headers)
    for key, row in rows.items():
        yield _line(topics.DETECTION_CHANGELOG, key, row)
    incident = json.loads(next(r.value for r in reversed(published) if r.topic == topics.INCIDENTS))
    yield from _told_of(incident)


def _told_of(incident: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What others than detection write about an incident."""
    told = _TOLD | {"incident_key": incident["key"], "incident_version": incident["version"]}
    told["service"] = incident["service"]
    evidence = _type("schemas.analysis", "Evidence")("event-1", "pool exhausted")
    for module, name, topic, key in (
        ("schemas.analysis", "Analysis", "ANALYSES", "incident_key"),
        ("schemas.analysis", "AnalysisRequest", "ANALYSIS_REQUESTS", "incident_key"),
        ("schemas.status_change", "StatusChange", "INCIDENT_STATUS", "service"),
        ("schemas.correction", "Correction", "CORRECTIONS", "change_id"),
        ("schemas.verdict", "MissedIncident", "MISSED_INCIDENTS", "id"),
    ):
        if kind := _type(module, name):
            content = told | {"evidence": [evidence]}
            record = kind(**{field: content[field] for field in kind.__struct_fields__})
            yield _line(getattr(topics, topic), content[key].encode(), encode(record))


def _type(module: str, name: str) -> Any:
    """The type of this name, or None in a tree that does not know it yet."""
    return getattr(importlib.import_module(module), name) if importlib.util.find_spec(module) else None


async def _detected() -> tuple[list[Any], dict[bytes, bytes], list[LogRecord]]:
    rows, publisher = MemoryRows(), MemoryPublisher()
    processor = Processor(rules(), rows, publisher, PARTITIONS)
    fed = _records()
    for record in fed:
        await processor.take_events(record.partition, [record])
    opened = list(publisher.incidents().values())
    for number, to in enumerate(("investigating", "resolved", "open", "closed")):
        for incident in opened[:3]:
            change = _type("schemas.status_change", "StatusChange")(
                f"c{number}", incident.key, incident.service, to, "ann", (_START + number) * MICROSECONDS, "looking"
            )
            record = LogRecord(number, encode(change), incident.partition, topics.INCIDENT_STATUS)
            await processor.take_status_changes(incident.partition, [record])
    for partition in range(PARTITIONS):
        await processor.watch_quiet(partition, (_START + 40 * _HOUR) * MICROSECONDS)
    return publisher.records, rows.rows, fed


def rules() -> RuleSet:
    """The rules under which they were written: of each kind that this tree knows one."""
    burst = CountRule("error-burst", _LEVELS, 5, 300 * MICROSECONDS, _HOUR * MICROSECONDS)
    kinds: tuple[Any, ...] = ()
    if importlib.util.find_spec("stream_processor.kinds"):
        files = importlib.import_module("stream_processor.rule_files")
        kinds = files.load_rules([Path("docs/examples/every-kind.yaml")]).rules
    return RuleSet((burst, *kinds), 600 * MICROSECONDS)


def _records() -> list[LogRecord]:
    """Bursts, late events, events in a foreign place, several in one record, events of every field, and junk."""
    services = [f"shop-{number}" for number in range(3)]
    values: list[tuple[str, Any]] = []
    for service in services:
        steps = [
            *range(0, 300, 40),
            200,
            5,
            *range(3 * _HOUR, 3 * _HOUR + 100, 20),
            *range(9 * _HOUR, 9 * _HOUR + 50, 10),
        ]
        values += [(service, _event(service, number, second)) for number, second in enumerate(steps)]
        values.append((service, [_event(service, 100 + number, 9 * _HOUR + 60) for number in range(3)]))
        values.append((service, _event(service, 200, 0)))  # hours late
    values.append(("shop-0", {"service": "shop-0", "level": "warn", "message": "no id, no time", "unknown": [1]}))
    values.append(("shop-0", {"service": "shop-0", "level": "LOUD", "message": "no such level"}))
    placed = [(home_partition(service, PARTITIONS), encode(value)) for service, value in values]
    placed += [(1 - home_partition("shop-1", PARTITIONS), encode(_event("shop-1", 300, 9 * _HOUR))), (0, b'{"service')]
    return [LogRecord(number, value, partition) for number, (partition, value) in enumerate(placed)]


def _event(service: str, number: int, second: int) -> dict[str, Any]:
    at = to_rfc3339((_START - 10 * _HOUR + second) * MICROSECONDS)
    level = "INFO" if number % 7 == 3 else "ERROR"
    message = f"pool exhausted after {number} ms" if number % 2 else "upstream timed out"
    event: dict[str, Any] = {"service": service, "level": level, "message": message, "timestamp": at}
    if number % 5 == 0:
        event |= {"id": f"{service}-{number}", "attributes": {"a": "b", "n": 1, "x": 0.5, "y": True}}
        event |= {"trace_id": "t", "span_id": "s", "host": "h", "environment": "production"}
    return event


def _line(topic: str, key: bytes | None, value: bytes | None, headers: Any = ()) -> dict[str, Any]:
    return {"topic": topic, "key": _text(key), "value": _text(value), "headers": {n: v.decode() for n, v in headers}}


def _text(content: bytes | None) -> str | None:
    return None if content is None else base64.b64encode(content).decode()


if __name__ == "__main__":
    with Path(sys.argv[1]).open("w") as file:
        file.writelines(json.dumps(sample) + "\n" for sample in samples())
