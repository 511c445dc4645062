"""Reading topics to their end, and writing records of theirs once more."""

import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from tests.chaos.workload import PARTITIONS
from tests.support.pipeline import Pipeline

SECONDS: Final = 10.0
PATIENCE: Final = 120.0
"""Seconds that an outage may last."""

Place = tuple[str, int]


def places(topics: tuple[str, ...]) -> list[Place]:
    """The partitions of topics."""
    return [(topic, partition) for topic in topics for partition in range(PARTITIONS)]


def consumer(pipeline: Pipeline, group: str = "nobody") -> Consumer:
    """A client of librdkafka's that asks and reads, and joins no group."""
    return Consumer(
        {
            "bootstrap.servers": pipeline.environment["KAFKA_BOOTSTRAP_SERVERS"],
            "group.id": group,
            "enable.auto.commit": False,
            "log_level": 0,
        }
    )


def committed(client: Consumer, topics: tuple[str, ...]) -> dict[Place, int]:
    """How far the client's group has come."""
    wanted = [TopicPartition(topic, partition) for topic, partition in places(topics)]
    return {(tp.topic, tp.partition): max(tp.offset, 0) for tp in client.committed(wanted, timeout=SECONDS)}


def end(client: Consumer, place: Place) -> int:
    """The offset that the next record of a partition will get."""
    _, high = client.get_watermark_offsets(TopicPartition(*place), timeout=SECONDS)
    return int(high)


def _end_at_last(client: Consumer, place: Place) -> int:
    """The same, through an outage."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return end(client, place)
        except KafkaException:
            if time.monotonic() > deadline:
                raise
            with suppress(KafkaException):
                client.list_topics(place[0], timeout=SECONDS)  # it asks anew only when told to


def records(pipeline: Pipeline, topic: str) -> Iterator[Message]:
    """The records of a topic as it stands now."""
    client = consumer(pipeline)
    try:
        ends = {place: _end_at_last(client, place) for place in places((topic,))}
        left = {place for place, high in ends.items() if high}
        client.assign([TopicPartition(*place, 0) for place in left])
        while left:
            message = client.poll(PATIENCE)
            assert message is not None, f"{topic} cannot be read to its end"
            if message.error():
                continue
            yield message
            place = (message.topic() or "", message.partition() or 0)
            if (message.offset() or 0) + 1 >= ends[place]:
                left.discard(place)
    finally:
        client.close()


def write_again(pipeline: Pipeline, messages: Iterable[Message]) -> None:
    """Write records to where they lie, once more."""
    with_order = Writer(pipeline)
    for message in messages:
        with_order.write(message.topic() or "", message.partition() or 0, message.key(), message.value())
    with_order.flush()


class Writer:
    """A foreign producer: librdkafka, idempotent, which keeps the order of each partition over outages."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._failed: list[str] = []
        self._producer = Producer(
            {
                "bootstrap.servers": pipeline.environment["KAFKA_BOOTSTRAP_SERVERS"],
                "enable.idempotence": True,
                "linger.ms": 2,
                "delivery.timeout.ms": int(PATIENCE * 1000),
                "log_level": 0,
            }
        )

    def write(self, topic: str, partition: int, key: str | bytes | None, value: str | bytes | None) -> None:
        """Give one record away."""
        self._producer.produce(topic, value, key, partition, on_delivery=self._delivered)

    def flush(self) -> None:
        """Wait until all that was given away is acknowledged."""
        left = self._producer.flush(PATIENCE)
        assert not left, f"{left} records were not acknowledged"
        assert not self._failed, self._failed[:3]

    def _delivered(self, error: KafkaError | None, _: Message) -> None:
        if error:
            self._failed.append(str(error))
