"""The number of partitions that the state was built for, kept in the state itself.

It decides where a service lives. Kafka lets partitions be added to a topic at any time, and does not tell: services
would be looked for where their state is not, and open incidents a second time.
"""

from contextlib import aclosing
from typing import Final

import structlog
from aiokafka.structs import TopicPartition

from runtime.kafka import TopicsUnsuitable, make_producer, reader
from runtime.settings import Settings
from schemas.topics import DETECTION_CHANGELOG, EVENTS
from stream_processor.durable_table import read_to_end

log = structlog.get_logger(__name__)

LAYOUT_KEY: Final = b"p"
_FIRST: Final = 0
"""The partition of the changelog that says it: the one that is there whatever the number."""


async def check_layout(settings: Settings, partitions: int) -> None:
    """Compare the number of partitions with that of the state; where there is no state yet, write it down.

    It is the first row that is ever written and never written again, so it is found at once, also after compaction.

    Raises:
        TopicsUnsuitable: the state was built for another number.
        KafkaError: the broker cannot be asked.
    """
    built_for = await _read(settings)
    if built_for is None:
        await _write(settings, partitions)
        log.info("state_layout_written", partitions=partitions)
    elif built_for != partitions:
        raise TopicsUnsuitable(
            f"the state of detection was built for {built_for} partitions of {EVENTS}, which has {partitions} now: "
            "services would be looked for where their state is not; docs/state.md says how to change the number"
        )


async def _read(settings: Settings) -> int | None:
    place = TopicPartition(DETECTION_CHANGELOG, _FIRST)
    async with reader(settings) as consumer, aclosing(read_to_end(consumer, [place])) as fetches:
        async for _, records in fetches:
            for record in records:
                if record.key == LAYOUT_KEY and record.value:
                    return int(record.value)
    return None


async def _write(settings: Settings, partitions: int) -> None:
    producer = make_producer(settings, "stream_processor-layout")
    await producer.start()
    try:
        await producer.send_and_wait(DETECTION_CHANGELOG, b"%d" % partitions, LAYOUT_KEY, _FIRST)
    finally:
        await producer.stop()
