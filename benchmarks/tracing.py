"""What traces cost the gateway and the detection: requests and events a second with none, with headers, and exported.

Usage: python -m benchmarks.tracing [rounds]

Both run in this process without Kafka or sockets, so that nothing but their own work is timed, in seconds of
processor time, the export included; the forms go by turns and each gets its best round. `exported` records every
request, a batch for each 500 records and every opening, and encodes the spans for a collector that is not there.
"""

import asyncio
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import structlog
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from ingest_gateway.app import create_app
from ingest_gateway.memory_log import MemoryEventLog
from runtime import tracing
from runtime.otlp import OtlpRecorder
from runtime.settings import load_settings
from schemas.codec import encode
from schemas.timestamps import MICROSECONDS, to_rfc3339
from stream_processor.processor import Processor
from stream_processor.rules import CountRule, RuleSet
from tests.support.memory_log import LogRecord, MemoryRows

_REQUESTS, _RECORDS, _BATCH = 4_000, 40_000, 500
_START = 1_699_990_000 * MICROSECONDS
_RULES = RuleSet(
    (CountRule("error-burst", ("ERROR", "CRITICAL", "FATAL"), 5, 300 * MICROSECONDS, 3600 * MICROSECONDS),),
    600 * MICROSECONDS,
)
_TRACEPARENT = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class _Encoding(SpanExporter):
    def export(self, spans: Any) -> SpanExportResult:
        encode_spans(spans).SerializeToString()
        return SpanExportResult.SUCCESS


class _Nowhere:
    async def publish(self, owner: int, records: Any) -> None:
        del owner, records


async def gateway(*, with_header: bool) -> float:
    """Requests a second, each of one event."""
    app = create_app(load_settings(_env_file=None), MemoryEventLog())
    body = b'{"service": "checkout", "level": "ERROR", "message": "payment gateway timed out"}'
    headers = [
        (b"host", b"x"),
        (b"user-agent", b"bench/1"),
        (b"accept", b"*/*"),
        (b"content-type", b"application/json"),
    ]
    headers += [(b"content-length", str(len(body)).encode())]
    headers += [(b"traceparent", _TRACEPARENT)] if with_header else []
    scope = {"type": "http", "method": "POST", "path": "/api/v1/events", "headers": headers, "query_string": b""}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(_: Any) -> None:
        pass

    began = time.process_time()
    for _ in range(_REQUESTS):
        await app(dict(scope), receive, send)
    return _REQUESTS / (time.process_time() - began)


async def detection(*, with_header: bool) -> float:
    """Events a second, a record each, one in five an error; every service opens an incident, which grows."""
    processor = Processor(_RULES, MemoryRows(), _Nowhere(), 1)
    headers = (("traceparent", _TRACEPARENT),) if with_header else ()
    records = [_record(offset, headers) for offset in range(_RECORDS)]
    began = time.process_time()
    for start in range(0, _RECORDS, _BATCH):
        await processor.take_events(0, records[start : start + _BATCH])
    return _RECORDS / (time.process_time() - began)


def _record(offset: int, headers: Any) -> LogRecord:
    level = "ERROR" if offset % 5 == 0 else "INFO"
    at = to_rfc3339(_START + offset * 1_000)
    value = encode({"service": f"s{offset // 5 % 20}", "level": level, "message": "boom", "timestamp": at})
    return LogRecord(offset, value, headers=headers)


@contextmanager
def _exported() -> Iterator[None]:
    recorder = OtlpRecorder("bench", _Encoding())
    with tracing.recording(recorder):
        yield
    recorder.close(30)


def main(rounds: int) -> None:
    """Print a table."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    works: dict[str, Callable[..., Coroutine[Any, Any, float]]] = {
        "gateway, requests/s": gateway,
        "detection, events/s": detection,
    }
    forms: dict[str, tuple[bool, Any]] = {
        "off": (False, nullcontext),
        "off, with traceparent": (True, nullcontext),
        "exported": (True, _exported),
    }
    best: dict[tuple[str, str], float] = {}
    for _ in range(rounds):
        for what, work in works.items():
            for form, (with_header, context) in forms.items():
                with context():
                    rate = asyncio.run(work(with_header=with_header))
                best[what, form] = max(best.get((what, form), 0.0), rate)
    for (what, form), rate in best.items():
        print(f"{what:22}{form:24}{rate:>12,.0f}")  # noqa: T201


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
