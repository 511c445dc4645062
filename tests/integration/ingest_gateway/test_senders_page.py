"""Every block of docs/senders.md that speaks HTTP, executed: by the real client, or with its documented body."""

import asyncio
import gzip
import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import yaml

from deploy.brokers.base import Broker
from ingest_gateway.format_routes import OTLP_PATH, RECORDS_PATH
from runtime.settings import Settings
from schemas.timestamps import from_rfc3339, to_micros
from tests.integration.ingest_gateway.gateway_process import GatewayProcess, gateway_process
from tests.support.alertmanager import running_alertmanager
from tests.support.senders_page import GATEWAY, block, blocks
from tests.support.waiting import wait_until
from tests.support.written_events import events_of

pytestmark = [pytest.mark.timeout(120), pytest.mark.apache_kafka]

AT: Final = "2023-01-29T08:42:22.383000Z"
NDJSON: Final = "application/x-ndjson"
JSON: Final = "application/json"


@pytest.fixture(scope="module")
def gateway(broker: Broker, kafka_settings: Settings) -> Iterator[GatewayProcess]:
    """One gateway for the page."""
    with gateway_process(
        broker.bootstrap_servers,
        kafka_idempotence=kafka_settings.kafka_idempotence,
        topic_partitions=kafka_settings.topic_partitions,
    ) as running:
        running.wait_until_ready()
        yield running


async def test_opentelemetry_s_sdk(gateway: GatewayProcess, kafka_settings: Settings) -> None:
    """Python's `logging` through the SDK, as the page has it."""
    program = block("OpenTelemetry", "python", gateway=gateway.url).replace("checkout", "page-otlp")
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert "Error" not in done.stderr, done.stderr
    [event] = await events_of(kafka_settings, "page-otlp", 1)
    assert (event.level, event.message) == ("ERROR", "payment gateway timed out")


def test_opentelemetry_s_collector() -> None:
    """Its exporter goes where OTLP is taken, and its pipeline uses it."""
    configuration = yaml.safe_load(block("OpenTelemetry", "yaml"))
    [(name, exporter)] = configuration["exporters"].items()
    assert exporter["logs_endpoint"] == f"{GATEWAY}{OTLP_PATH}"
    assert configuration["service"]["pipelines"]["logs"]["exporters"] == [name]
    assert name.startswith("otlphttp/")


async def test_fluent_bit(gateway: GatewayProcess, kafka_settings: Settings) -> None:
    """`format json` sends an array, with the time of each record under its date key."""
    lines = block("Fluent Bit", "ini").splitlines()
    assert lines[0] == "[OUTPUT]"
    options = dict(line.split(maxsplit=1) for line in lines[1:])
    assert (options["name"], options["format"], options["json_date_format"]) == ("http", "json", "iso8601")
    records = [{options["json_date_key"]: AT, "log": "pool exhausted", "level": "error"}]
    uri = options["uri"].replace("checkout", "page-fluent-bit")
    assert _send(gateway, uri, JSON, json.dumps(records), options["compress"]).status_code == 201
    await _is_written(kafka_settings, "page-fluent-bit")


async def test_vector(gateway: GatewayProcess, kafka_settings: Settings) -> None:
    """The codec json sends an array; a batch stays within the gateway's bounds."""
    sink = tomllib.loads(block("Vector", "toml"))["sinks"]["ops_assist"]
    assert (sink["type"], sink["method"], sink["encoding"]["codec"]) == ("http", "post", "json")
    assert sink["batch"]["max_bytes"] <= 8 * 1024 * 1024
    assert sink["batch"]["max_events"] <= 10_000
    records = [{"timestamp": AT, "message": "pool exhausted", "severity": "err", "appname": "page-vector"}]
    path = sink["uri"].removeprefix(GATEWAY)
    assert _send(gateway, path, JSON, json.dumps(records), sink["compression"]).status_code == 201
    await _is_written(kafka_settings, "page-vector")


async def test_logstash(gateway: GatewayProcess, kafka_settings: Settings) -> None:
    """`json_batch` sends an array of its events."""
    options = dict(re.findall(r'(\w+) => "?([^"\n]+)"?', block("Logstash", "ruby")))
    assert (options["http_method"], options["format"], options["http_compression"]) == ("post", "json_batch", "true")
    records = [{"@timestamp": AT, "@version": "1", "message": "pool exhausted", "level": "ERROR", "service": "page-ls"}]
    path = options["url"].removeprefix(GATEWAY)
    assert _send(gateway, path, JSON, json.dumps(records), "gzip").status_code == 201
    await _is_written(kafka_settings, "page-ls")


async def test_filebeat(gateway: GatewayProcess, kafka_settings: Settings) -> None:
    """What Logstash passes on of it: the Elastic Common Schema, with the service that its input names."""
    configuration = yaml.safe_load(block("Filebeat", "yaml"))
    assert list(configuration["output.logstash"]) == ["hosts"]
    assert list(configuration["filebeat.inputs"][0]["fields"]) == ["service.name"]
    record = {
        "@timestamp": AT, "@version": "1", "message": "pool exhausted", "log": {"level": "error", "offset": 7},
        "service": {"name": "page-filebeat"}, "host": {"name": "web-3"}, "agent": {"type": "filebeat"},
    }  # fmt: skip
    assert _send(gateway, RECORDS_PATH, NDJSON, json.dumps(record), "").status_code == 201
    await _is_written(kafka_settings, "page-filebeat")


async def test_cloudevents(gateway: GatewayProcess, kafka_settings: Settings) -> None:
    """The page's command, twice: the same source and id are the same event."""
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    command = block("CloudEvents", "sh", gateway=gateway.url).replace("checkout", "page-cloudevents")
    for _ in range(2):
        await asyncio.to_thread(subprocess.run, ["sh", "-c", command], check=True, timeout=30, capture_output=True)
    first, again = await events_of(kafka_settings, "page-cloudevents", 2)
    assert (first.level, first.message, first.id) == ("ERROR", "payment gateway timed out", again.id)


async def test_alertmanager(gateway: GatewayProcess, kafka_settings: Settings, tmp_path: Path) -> None:
    """The real one: an alert is an event at its start, told again under the same id, and INFO once it is resolved."""
    configuration = yaml.safe_load(blocks("Alertmanager", "yaml")[0].replace(GATEWAY, gateway.url))
    configuration["route"] |= {"group_wait": "10ms", "group_interval": "300ms", "repeat_interval": "300ms"}
    began = datetime.now(UTC).replace(microsecond=383_000) - timedelta(minutes=2)
    labels = {"alertname": "HighErrorRate", "service": "page-alerts", "severity": "critical", "instance": "web-3"}

    with running_alertmanager(yaml.safe_dump(configuration), tmp_path) as alertmanager:
        alertmanager.post(labels, began, summary="5% of requests fail")
        wait_until(lambda: alertmanager.notified() >= 3, what="three notifications")
        ended = datetime.now(UTC)
        alertmanager.post(labels, began, ended, summary="5% of requests fail")
        told = await events_of(kafka_settings, "page-alerts", 3)
        while told[-1].level != "INFO":
            told = await events_of(kafka_settings, "page-alerts", len(told) + 1)

    *firing, resolved = told
    assert len(firing) >= 3
    assert len({(event.id, event.level, event.timestamp, event.message, event.host) for event in firing}) == 1
    assert (firing[0].level, firing[0].message) == ("CRITICAL", "HighErrorRate fires: 5% of requests fail")
    assert (firing[0].timestamp, firing[0].host) == (to_micros(began), "web-3")
    assert {"alertname": "HighErrorRate", "alert_status": "firing"}.items() <= (firing[0].attributes or {}).items()
    assert resolved.message == "HighErrorRate is resolved: 5% of requests fail"
    assert resolved.id != firing[0].id
    assert abs(resolved.timestamp - to_micros(ended)) < 1_000


async def _is_written(settings: Settings, service: str) -> None:
    [event] = await events_of(settings, service, 1)
    assert (event.level, event.message, event.timestamp) == ("ERROR", "pool exhausted", from_rfc3339(AT))


def _send(gateway: GatewayProcess, path: str, media_type: str, body: str, compression: str) -> httpx.Response:
    headers: dict[str, Any] = {"Content-Type": media_type}
    content = body.encode()
    if compression:
        assert compression == "gzip"
        headers["Content-Encoding"] = compression
        content = gzip.compress(content)
    return gateway.client.post(path, content=content, headers=headers)
