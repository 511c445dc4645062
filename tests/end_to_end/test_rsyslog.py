"""Debian's rsyslog writes into a running pipeline, into Kafka and to SYSLOG_PORT, as docs/senders.md configures it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from deploy.brokers.base import Broker
from runtime.settings import Settings
from schemas.timestamps import to_micros
from tests.support.databases import Databases
from tests.support.pipeline import FRONT_DOOR, MATERIALIZER, PROCESSOR, Pipeline, running_pipeline
from tests.support.ports import free_port
from tests.support.rsyslog import Rsyslog, running_rsyslog
from tests.support.senders_page import blocks, with_addresses
from tests.support.waiting import wait_until
from tests.support.written_events import events_of

pytestmark = pytest.mark.apache_kafka

SYSLOG_PORT: Final = free_port()
NOW: Final = datetime.now(UTC).replace(microsecond=250_000)


@pytest.fixture(scope="module")
def pipeline(broker: Broker, databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """From the gateway to the view."""
    state_dir = tmp_path_factory.mktemp("state dir")
    services = (FRONT_DOOR, PROCESSOR, MATERIALIZER)
    with running_pipeline(
        broker, databases.create(), state_dir, *services, SYSLOG_PORT=str(SYSLOG_PORT), API_URL="http://127.0.0.1:1"
    ) as running:
        running.wait_ready(*services)
        yield running


@pytest.fixture(params=["omkafka", "omfwd", "omfwd by default"])
def rsyslog(request: pytest.FixtureRequest, pipeline: Pipeline, broker: Broker, tmp_path: Path) -> Iterator[Rsyslog]:
    """One that forwards each message it gets."""
    del pipeline
    kafka, syslog = blocks("rsyslog", "rsyslog")
    configuration = {
        "omkafka": with_addresses(kafka, broker=broker.bootstrap_servers),
        "omfwd": with_addresses(syslog, syslog_port=str(SYSLOG_PORT)),
        "omfwd by default": f"*.* @@127.0.0.1:{SYSLOG_PORT};RSYSLOG_ForwardFormat",
    }
    with running_rsyslog(configuration[request.param], tmp_path) as running:
        yield running
        assert running.complaints == ""


async def test_what_a_program_logs_opens_an_incident(
    rsyslog: Rsyslog, pipeline: Pipeline, kafka_settings: Settings, request: pytest.FixtureRequest
) -> None:
    """Five errors of a service, with level, time and host; its warnings and another service open none."""
    service = "shop-" + request.node.callspec.id.replace(" ", "-")
    at = NOW.isoformat()
    rsyslog.send(
        *(f'<10>1 {at} web-3 {service} 77 - - card {number} "refused" \\ zürich' for number in range(2)),
        *(f'<11>1 {at} web-3 {service} 77 - - card {number} "refused" \\ zürich' for number in range(2, 5)),
        *(f"<12>1 {at} web-3 {service} 77 - - slow" for _ in range(5)),
        f"<11>1 {at} web-4 other-{service} - - - alone",
    )

    [incident] = wait_until(lambda: pipeline.incidents(service=service), timeout=60, what="the incident")
    events = await events_of(kafka_settings, service, 10)

    errors = [event for event in events if event.level != "WARNING"]
    assert (incident["rule"], incident["event_count"]) == ("error-burst", 5)
    assert sorted(event.message for event in errors) == [f'card {n} "refused" \\ zürich' for n in range(5)]
    assert sorted(event.level for event in errors) == ["CRITICAL"] * 2 + ["ERROR"] * 3
    assert {event.host for event in events} == {"web-3"}
    assert {event.timestamp for event in events} == {to_micros(NOW)}
    assert len({event.id for event in events}) == 10
    assert pipeline.incidents(service=f"other-{service}") == []
