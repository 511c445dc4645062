"""Sixty-four clients report the same outage at once: one incident, with every one of their events in it."""

import asyncio
from collections.abc import Iterator

import pytest

from deploy.brokers.apache_kafka import ApacheKafka
from schemas.codec import encode
from tests.support.databases import Databases
from tests.support.pipeline import FRONT_DOOR, MATERIALIZER, PROCESSOR, Pipeline, running_pipeline
from tests.support.view import linked, mine
from tests.support.waiting import wait_until

CLIENTS = 64
ROUNDS = 100
PREFIX = "together-"


@pytest.fixture(scope="module")
def pipeline(broker: ApacheKafka, databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """What lies between a client and the list of incidents."""
    services = (FRONT_DOOR, PROCESSOR, MATERIALIZER)
    with running_pipeline(broker, databases.create(), tmp_path_factory.mktemp("state dir"), *services) as running:
        yield running


@pytest.mark.apache_kafka
def test_many_clients_at_once_give_one_incident_every_time(pipeline: Pipeline) -> None:
    """A hundred rounds, each with a service of its own: exactly one incident of 64 events in each of them."""
    asyncio.run(report_outages(pipeline.ports[FRONT_DOOR]))

    wait_until(lambda: total(pipeline) >= CLIENTS * ROUNDS, timeout=60, what="every event in an incident")
    counts = {incident["service"]: incident["event_count"] for incident in mine(pipeline, PREFIX)}
    assert counts == {f"{PREFIX}{n}": CLIENTS for n in range(ROUNDS)}
    assert len(mine(pipeline, PREFIX)) == ROUNDS
    wait_until(lambda: linked(pipeline, PREFIX) == CLIENTS * ROUNDS, timeout=60, what="each event under its incident")


async def report_outages(port: int) -> None:
    clients = [await asyncio.open_connection("127.0.0.1", port) for _ in range(CLIENTS)]
    for number in range(ROUNDS):
        event = encode({"service": f"{PREFIX}{number}", "level": "ERROR", "message": "connection refused"})
        answers = await asyncio.gather(*(post(event, reader, writer) for reader, writer in clients))
        assert set(answers) == {b"HTTP/1.1 201 Created"}
    for _, writer in clients:
        writer.close()
        await writer.wait_closed()


async def post(body: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """One request on an open connection, without a client library, which would be busier than the pipeline."""
    head = (
        f"POST /api/v1/events HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    )
    writer.write(head.encode() + b"\r\n\r\n" + body)
    answer = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    await reader.readexactly(int(length.split(b":")[1]))
    return answer.split(b"\r\n")[0]


def total(pipeline: Pipeline) -> int:
    return sum(incident["event_count"] for incident in mine(pipeline, PREFIX))
