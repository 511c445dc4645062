"""A lane: one batch at the broker, the rest in order behind it, and the truth about each record."""

import asyncio
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError

from ingest_gateway.lane import Delivery, Lane, Outcome


class _Batch:
    """Takes four records."""

    def __init__(self) -> None:
        self.values: list[bytes] = []

    def append(self, *, key: bytes, value: bytes, timestamp: None, headers: list[tuple[str, bytes]]) -> object | None:
        del key, timestamp, headers
        if len(self.values) == 4:
            return None
        self.values.append(value)
        return object()

    def close(self) -> None:
        """A full batch is sent at once."""


class _Producer:
    """Holds every batch until the test acknowledges it."""

    def __init__(self) -> None:
        self.sent: list[list[bytes]] = []
        self.acknowledgements: list[asyncio.Future[None]] = []

    def create_batch(self) -> _Batch:
        return _Batch()

    async def send_batch(self, batch: _Batch, topic: str, *, partition: int) -> asyncio.Future[None]:
        del topic, partition
        self.sent.append(batch.values)
        self.acknowledgements.append(asyncio.get_running_loop().create_future())
        return self.acknowledgements[-1]


class _Scene:
    """A lane on such a producer."""

    def __init__(self) -> None:
        self.producer: Any = _Producer()
        self.broken: list[str] = []
        self.lane = Lane(self.producer, 0, self.broken.append)

    def put(self, *values: bytes) -> list[Delivery]:
        return [self.lane.put(b"k", value) for value in values]

    async def settle(self) -> None:
        """Let every task run until it waits."""
        for _ in range(10):
            await asyncio.sleep(0)


@pytest.fixture
async def scene() -> _Scene:
    """A new lane."""
    return _Scene()


async def test_records_gather_while_a_batch_is_under_way(scene: _Scene) -> None:
    """The first goes at once, those behind it together, in their order, as many as a batch takes."""
    scene.put(b"0")
    await scene.settle()
    scene.put(b"1", b"2", b"3", b"4", b"5")
    await scene.settle()
    assert scene.producer.sent == [[b"0"]]
    scene.producer.acknowledgements[0].set_result(None)
    await scene.settle()
    scene.producer.acknowledgements[1].set_result(None)
    await scene.settle()
    assert scene.producer.sent == [[b"0"], [b"1", b"2", b"3", b"4"], [b"5"]]


async def test_a_record_is_written_when_its_batch_is_acknowledged(scene: _Scene) -> None:
    """And not before."""
    (delivery,) = scene.put(b"0")
    await scene.settle()
    assert not delivery.outcome.done()
    assert scene.lane.waiting_for() > 0
    scene.producer.acknowledgements[0].set_result(None)
    assert await delivery.outcome is Outcome.WRITTEN
    assert scene.lane.waiting_for() == 0


async def test_a_record_that_nobody_waits_for_is_never_handed_over(scene: _Scene) -> None:
    """So that its sender could be told that it was not written."""
    scene.put(b"0")
    await scene.settle()
    given_up, kept = scene.put(b"1", b"2")
    given_up.outcome.cancel()
    scene.producer.acknowledgements[0].set_result(None)
    await scene.settle()
    assert scene.producer.sent[1:] == [[b"2"]]
    assert not given_up.handed_over
    assert kept.handed_over


async def test_when_a_batch_fails_its_records_are_uncertain_and_those_behind_it_are_not(scene: _Scene) -> None:
    """Only what was handed over may have been written; the producer is reported as broken, with the reason."""
    (under_way,) = scene.put(b"0")
    await scene.settle()
    (behind,) = scene.put(b"1")
    scene.producer.acknowledgements[0].set_exception(KafkaConnectionError("gone"))
    assert await under_way.outcome is Outcome.UNKNOWN
    assert await behind.outcome is Outcome.NOT_WRITTEN
    assert len(scene.broken) == 1
    assert "gone" in scene.broken[0]
    assert scene.producer.sent == [[b"0"]]


async def test_giving_up_tells_everybody_what_is_known(scene: _Scene) -> None:
    """At the end of a connection."""
    (under_way,) = scene.put(b"0")
    await scene.settle()
    (behind,) = scene.put(b"1")
    scene.lane.give_up()
    assert (await under_way.outcome, await behind.outcome) == (Outcome.UNKNOWN, Outcome.NOT_WRITTEN)
    assert scene.lane.task is not None
    scene.lane.task.cancel()
