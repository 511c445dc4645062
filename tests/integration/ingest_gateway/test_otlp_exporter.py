"""OpenTelemetry's own exporter as client: what it exports is in the log, over protobuf with gzip."""

import pytest
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource

from deploy.brokers.base import Broker
from runtime.kafka import reader
from runtime.settings import Settings
from schemas.codec import Place, decode_events
from schemas.event import Event
from schemas.topics import EVENTS
from tests.integration.ingest_gateway.gateway_process import gateway_process

pytestmark = [pytest.mark.timeout(120), pytest.mark.apache_kafka]


async def _events_of(settings: Settings, service: str, count: int) -> list[Event]:
    """The events of a service, once there are `count` of them."""
    found: list[Event] = []
    async with reader(settings, EVENTS) as consumer:
        while len(found) < count:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                for record in records:
                    place = Place(EVENTS, record.partition, record.offset, record.timestamp * 1_000)
                    events = [event for _, event in decode_events(record.value, place)]
                    found += [event for event in events if isinstance(event, Event) and event.service == service]
    return found


async def test_what_the_exporter_exports_is_in_the_log(broker: Broker, kafka_settings: Settings) -> None:
    """Every record, with its severity, time, trace and attributes; the exporter's own flush says it was taken."""
    service = "otlp-client"
    with gateway_process(
        broker.bootstrap_servers,
        kafka_idempotence=kafka_settings.kafka_idempotence,
        topic_partitions=kafka_settings.topic_partitions,
    ) as gateway:
        gateway.wait_until_ready()
        exporter = OTLPLogExporter(endpoint=f"{gateway.url}/v1/logs", compression=Compression.Gzip)
        provider = LoggerProvider(Resource.create({"service.name": service, "host.name": "web-3"}))
        provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
        logger = provider.get_logger("tests")
        for number in range(1_000):
            logger.emit(
                LogRecord(
                    timestamp=1_674_981_742_000_000_000 + number * 1_000,
                    severity_number=SeverityNumber.ERROR if number % 4 == 0 else SeverityNumber.INFO,
                    body=f"request {number} failed",
                    attributes={"number": number},
                )
            )
        assert provider.force_flush()
        provider.shutdown()
        events = await _events_of(kafka_settings, service, 1_000)
    assert [event.attributes and event.attributes["number"] for event in events] == list(range(1_000))
    assert sum(event.level == "ERROR" for event in events) == 250
    assert {event.host for event in events} == {"web-3"}
    assert events[7].timestamp == 1_674_981_742_000_007
