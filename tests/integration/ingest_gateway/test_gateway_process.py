"""The gateway as a process: on real sockets, with and without its broker, from start to a clean end."""

import asyncio
import json
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpx
import pytest

from deploy.brokers.base import Broker
from runtime.kafka import make_consumer
from runtime.settings import Settings
from schemas.topics import EVENTS
from tests.integration.ingest_gateway.gateway_process import EVENT, GatewayProcess, gateway_process, spawn
from tests.support.ports import free_port
from tests.support.waiting import wait_until
from tests.support.written_events import events_of

pytestmark = pytest.mark.timeout(120)

_BODY = json.dumps(EVENT).encode()


def _settings_of(settings: Settings) -> dict[str, object]:
    return {"kafka_idempotence": settings.kafka_idempotence, "topic_partitions": settings.topic_partitions}


async def _ids_in_log(settings: Settings, expected: set[str]) -> set[str]:
    """The ids of all events in the log, once `expected` are among them."""
    consumer = make_consumer(settings, EVENTS, group_id=None)
    await consumer.start()
    found: set[str] = set()
    try:
        while not expected <= found:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                for record in records:
                    value = json.loads(record.value)
                    found |= {event["id"] for event in (value if isinstance(value, list) else [value])}
    finally:
        await consumer.stop()
    return found


@pytest.mark.apache_kafka
async def test_what_is_answered_201_is_in_the_log_after_the_gateway_was_told_to_end(
    broker: Broker, kafka_settings: Settings
) -> None:
    """SIGTERM amid requests: those under way are answered, the process ends with 0 within 10 s, nothing is lost."""
    with gateway_process(broker.bootstrap_servers, **_settings_of(kafka_settings)) as gateway:
        gateway.wait_until_ready()
        accepted: set[str] = set()
        ended = False

        def send_until_the_end() -> None:
            while not ended:
                try:
                    answer = gateway.send()
                except httpx.TransportError:  # it listens no more
                    return
                assert answer.status_code == 201
                accepted.add(answer.json()["id"])

        with ThreadPoolExecutor(8) as pool:
            senders = [pool.submit(send_until_the_end) for _ in range(8)]
            wait_until(lambda: len(accepted) > 200)
            started = time.monotonic()
            status, output = gateway.end()
            ended = True
            for sender in senders:
                sender.result()
        assert time.monotonic() - started < 10
        assert status == 0, output
        assert "Traceback" not in output
    assert accepted <= await _ids_in_log(kafka_settings, accepted)


@pytest.mark.apache_kafka
def test_a_broker_that_comes_later_makes_the_gateway_ready(broker: Broker, kafka_settings: Settings) -> None:
    """Until then it is up, says why it is not ready, and refuses quickly; it needs no restart."""
    broker.stop()
    try:
        with gateway_process(broker.bootstrap_servers, **_settings_of(kafka_settings)) as gateway:
            started = time.monotonic()
            refused = gateway.send()
            assert refused.status_code == 503
            assert int(refused.headers["retry-after"]) >= 1
            assert "Nothing was written" in refused.json()["detail"]
            assert time.monotonic() - started < 6
            ready = gateway.client.get("/readyz")
            assert ready.status_code == 503
            assert "cannot be reached" in ready.json()["reasons"]["broker"]
            assert gateway.client.get("/health").status_code == 200
            broker.start()
            gateway.wait_until_ready()
            assert gateway.send().status_code == 201
    finally:
        broker.start()


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT], ids=lambda signum: signum.name)
def test_without_a_broker_it_ends_cleanly_too(signum: signal.Signals) -> None:
    """At once, and with 0."""
    with gateway_process(f"127.0.0.1:{free_port()}") as gateway:
        started = time.monotonic()
        status, output = gateway.end(signum)
        assert time.monotonic() - started < 5
        assert status == 0, output
        assert "Traceback" not in output


def test_a_port_in_use_is_one_clear_line() -> None:
    """It names the port and the settings that change it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = spawn(http_port=port)
        output, _ = process.communicate(timeout=20)
    assert process.returncode == 1
    (line,) = output.splitlines()
    assert str(port) in line
    assert "HTTP_PORT" in line


def test_a_wrong_setting_is_one_clear_line() -> None:
    """It names the setting."""
    process = spawn(http_port=70_000)
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 2
    (line,) = output.splitlines()
    assert "HTTP_PORT" in line


def _converse(port: int, request: bytes) -> bytes:
    """Send bytes as they are, end the sending side, and read to the end."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := connection.recv(65_536):
            answer += piece
        return answer


def _request(length: int | str, body: bytes = _BODY) -> bytes:
    head = (
        f"POST /api/v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    )
    return head.encode() + body


def test_a_wrong_content_length_publishes_nothing() -> None:
    """Too long: the body never ends, so it is no body. No number: 400. Too short: the JSON is cut, 400."""
    with gateway_process(f"127.0.0.1:{free_port()}") as gateway:
        port = int(gateway.url.rpartition(":")[2])
        assert b" 201 " not in _converse(port, _request(len(_BODY) + 10))
        assert b" 400 " in _converse(port, _request("many"))
        assert b" 400 " in _converse(port, _request(len(_BODY) - 1))
        metrics = gateway.client.get("/metrics").text
        assert 'ops_gateway_events_accepted_total{route="/api/v1/events"} 0.0' in metrics
        assert 'reason="unavailable"' not in metrics


def test_a_body_over_8_mib_is_answered_and_the_connection_goes_on() -> None:
    """The client that sends it all reads the 413, and may send its next request over the same connection."""
    with gateway_process(f"127.0.0.1:{free_port()}") as gateway:
        large = gateway.client.post(
            "/api/v1/events", content=b" " * (9 * 1024 * 1024), headers={"content-type": "application/json"}
        )
        assert large.status_code == 413
        assert gateway.client.get("/health").status_code == 200
        pieces = (b" " * 1024 * 1024 for _ in range(12))
        chunked = gateway.client.post("/api/v1/events", content=pieces, headers={"content-type": "application/json"})
        assert chunked.status_code == 413
        assert gateway.client.get("/health").status_code == 200


@pytest.mark.apache_kafka
async def test_syslog_is_in_the_log_and_an_open_connection_holds_up_no_end(
    broker: Broker, kafka_settings: Settings
) -> None:
    """What the sender wrote before SIGTERM and the gateway read is written; the process ends with 0 within its time."""
    port, service = free_port(), "syslog-until-the-end"
    stream = b"".join(_syslog(service, number, padding=10) for number in range(5_000))
    with gateway_process(broker.bootstrap_servers, syslog_port=port, **_settings_of(kafka_settings)) as gateway:
        gateway.wait_until_ready()
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            connection.sendall(stream)
            wait_until(lambda: _counted(gateway, "ops_gateway_syslog_messages_total") > 0, what="the first ones")
            started = time.monotonic()
            code, output = gateway.end()
            took = time.monotonic() - started
            with suppress(ConnectionResetError):  # where some was not read, and the sender is told so
                assert connection.recv(1) == b""
    assert (code, took < 10) == (0, True)
    assert "syslog_unwritten" not in output
    written = await events_of(kafka_settings, service, 1)
    assert [event.message.split()[1] for event in written] == [str(number) for number in range(len(written))]


@pytest.mark.apache_kafka
async def test_syslog_waits_for_a_broker_that_is_away(broker: Broker, kafka_settings: Settings) -> None:
    """The sender is held up instead of losing anything; once the broker is back all is there, once, in its order."""
    port, service = free_port(), "syslog-meanwhile"
    stream = b"".join(_syslog(service, number, padding=2_000) for number in range(10_000))
    broker.stop()
    try:
        with (
            gateway_process(broker.bootstrap_servers, syslog_port=port, **_settings_of(kafka_settings)) as gateway,
            socket.create_connection(("127.0.0.1", port), timeout=60) as connection,
            ThreadPoolExecutor(1) as pool,
        ):
            sending = pool.submit(connection.sendall, stream)
            wait_until(lambda: _counted(gateway, "ops_gateway_syslog_connections") == 1, what="the connection")
            assert gateway.client.get("/readyz").status_code == 503
            assert not sending.done()
            broker.start()
            await asyncio.to_thread(sending.result, 60)
            written = await events_of(kafka_settings, service, 10_000)
    finally:
        broker.start()
    assert [event.message.split()[1] for event in written] == [str(number) for number in range(10_000)]
    assert len({event.id for event in written}) == 10_000


def _syslog(service: str, number: int, padding: int) -> bytes:
    message = f"<11>1 2026-01-01T00:00:00Z web-3 {service} - - - number {number} {'x' * padding}"
    return f"{len(message)} {message}".encode()


def _counted(gateway: GatewayProcess, metric: str) -> float:
    lines = gateway.client.get("/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(metric))
