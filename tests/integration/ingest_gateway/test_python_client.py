"""The Python client against a gateway that is killed amid its traffic: nothing is lost, nothing is two by its id."""

import asyncio
import logging
import signal
import threading
from contextlib import AbstractContextManager

import pytest

from deploy.brokers.base import Broker
from ops_assist.client import AsyncClient, Limits, OpsAssistHandler
from runtime.kafka import reader
from runtime.settings import Settings
from schemas.codec import Place, decode_events
from schemas.event import Event
from schemas.topics import EVENTS
from tests.integration.ingest_gateway.gateway_process import GatewayProcess, gateway_process
from tests.support.ports import free_port
from tests.support.waiting import eventually

pytestmark = [pytest.mark.timeout(120), pytest.mark.apache_kafka]

_LIMITS = Limits(max_events=100_000, batch_events=50, linger=0.01)
_PAUSE_SECONDS = 0.001  # between two lines, so that what is logged while gateways start fits the queue

Clients = tuple[OpsAssistHandler | AsyncClient, ...]


async def test_a_gateway_killed_amid_traffic_loses_nothing(broker: Broker, kafka_settings: Settings) -> None:
    """SIGKILL twice while both clients send, and a new one on the same port: every event is there, once by its id."""
    port, ended = free_port(), threading.Event()

    def gateway() -> AbstractContextManager[GatewayProcess]:
        return gateway_process(
            broker.bootstrap_servers,
            http_port=port,
            kafka_idempotence=kafka_settings.kafka_idempotence,
            topic_partitions=kafka_settings.topic_partitions,
        )

    url = f"http://127.0.0.1:{port}"
    handler = OpsAssistHandler("handler", url, limits=_LIMITS)
    async with AsyncClient("asyncio", url, limits=_LIMITS) as client:
        clients: Clients = (handler, client)
        traffic = asyncio.gather(asyncio.to_thread(_log, handler, ended), _send(client, ended))
        for _ in range(2):
            with gateway() as running:
                await _until_more(clients, "delivered")
                await asyncio.to_thread(running.end, signal.SIGKILL)
            await _until_more(clients, "retries")
        with gateway():
            await _until_more(clients, "delivered")
            ended.set()
            counts = await traffic
            assert await asyncio.to_thread(handler.drain, 60)
            assert await client.flush(60)
    handler.close()
    for one, count in zip(clients, counts, strict=True):
        stats = one.stats
        assert (stats.delivered, stats.dropped, stats.rejected, stats.held) == (count, 0, 0, 0)
    found = await _messages_in_log(kafka_settings, dict(zip(("handler", "asyncio"), counts, strict=True)))
    assert found == [[f"line {number}" for number in range(count)] for count in counts]


async def _until_more(clients: Clients, count: str) -> None:
    """Until each client counts more than it does now."""
    before = [getattr(client.stats, count) for client in clients]

    async def is_more() -> bool:
        return all(getattr(client.stats, count) > was for client, was in zip(clients, before, strict=True))

    await eventually(is_more, timeout=60, what=f"more {count}")


def _log(handler: OpsAssistHandler, ended: threading.Event) -> int:
    logger = logging.getLogger("shop")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(handler)
    count = 0
    while not ended.wait(_PAUSE_SECONDS):
        logger.info("line %d", count)
        count += 1
    logger.removeHandler(handler)
    return count


async def _send(client: AsyncClient, ended: threading.Event) -> int:
    count = 0
    while not ended.is_set():
        await client.send("INFO", f"line {count}")
        count += 1
        await asyncio.sleep(_PAUSE_SECONDS)
    return count


async def _messages_in_log(settings: Settings, counts: dict[str, int]) -> list[list[str]]:
    """The messages of each service, one an id, in the order in which they first came; once there are as many ids."""
    found: dict[str, dict[str, str]] = {service: {} for service in counts}
    async with reader(settings, EVENTS) as consumer:
        while any(len(found[service]) < count for service, count in counts.items()):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                for record in records:
                    place = Place(EVENTS, record.partition, record.offset, record.timestamp * 1_000)
                    for _, event in decode_events(record.value, place):
                        assert isinstance(event, Event)
                        found[event.service].setdefault(event.id, event.message)
    return [list(messages.values()) for messages in found.values()]
