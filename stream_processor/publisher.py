"""The way out to Kafka: an idempotent producer that is made anew when it cannot go on, and sends again until it can."""

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from runtime.kafka import make_producer
from runtime.settings import Settings
from stream_processor.sorting import Outgoing

log = structlog.get_logger(__name__)

_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0


class KafkaPublisher:
    """Publishes in order, and again after a failure: repeats are told apart by version, key or headers."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None

    async def publish(self, records: Sequence[Outgoing]) -> None:
        """Return once all in-sync replicas have `records`.

        Raises:
            MessageSizeTooLargeError: a record is larger than its topic takes; sending it again would not help.
        """
        pause = _FIRST_PAUSE
        while records:
            try:
                await self._send(records)
            except MessageSizeTooLargeError:
                raise
            except KafkaError as error:
                log.warning("publish_failed", records=len(records), error=repr(error), again_in=pause)
                await self.close()
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                return

    async def close(self) -> None:
        """Let go of the producer; publishing again makes a new one."""
        producer, self._producer = self._producer, None
        if producer:
            await producer.stop()

    async def _send(self, records: Sequence[Outgoing]) -> None:
        if self._producer is None:
            self._producer = make_producer(self._settings, "ops-detection")
            await self._producer.start()
        sent = [
            await self._producer.send(r.topic, r.value, r.key, partition=r.partition, headers=list(r.headers))
            for r in records
        ]
        results = await asyncio.gather(*sent, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
