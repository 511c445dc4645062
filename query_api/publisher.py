"""What the API writes to Kafka: status changes and requests for an analysis, acknowledged before anybody is told."""

import asyncio
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from query_api.pause import pause
from runtime.kafka import make_producer
from runtime.settings import Settings
from runtime.trace_context import current, headers_of
from schemas.codec import encode

log = structlog.get_logger(__name__)

_DELIVERY_MS: Final = 5_000
"""How long the producer tries; then the record has expired and will not be sent later."""

_RETRY_SECONDS: Final = 1.0


class BrokerAway(Exception):  # noqa: N818 - reads as what it is
    """Kafka did not acknowledge a record; the text says why."""


class Publisher:
    """One producer. It connects in the background, so that the API starts without Kafka."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._why = "not connected to Kafka yet"

    def start(self) -> None:
        """Begin to connect."""
        self._connecting = asyncio.create_task(self._connect())

    async def stop(self) -> None:
        """Stop connecting, or send what is left and disconnect."""
        self._stopping.set()
        if self._connecting:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
        if self._producer:
            await self._producer.stop()

    async def publish(self, topic: str, partition: int, key: str, record: Any) -> None:
        """Write one record and wait until all in-sync replicas have it.

        Raises:
            BrokerAway: where that did not happen within five seconds; the record was not written then, unless the
                connection broke after the broker took it.
        """
        if self._producer is None:
            raise BrokerAway(self._why)
        try:
            await self._producer.send_and_wait(
                topic, encode(record), key.encode(), partition, headers=list(headers_of(current()))
            )
        except (KafkaError, OSError, TimeoutError) as error:
            raise BrokerAway(str(error) or type(error).__name__) from error

    async def check(self) -> str | None:
        """None where the cluster answers, else a sentence."""
        if self._producer is None:
            return self._why
        try:
            await self._producer.client.fetch_all_metadata()
        except (KafkaError, OSError) as error:
            return f"Kafka does not answer ({error})"
        return None

    async def _connect(self) -> None:
        while not self._stopping.is_set():
            producer = make_producer(self._settings, "query-api", request_timeout_ms=_DELIVERY_MS)
            try:
                await producer.start()
            except (KafkaError, OSError) as error:
                self._why = f"not connected to Kafka ({error})"
                log.warning("kafka_away", why=str(error))
                await producer.stop()
                await pause(self._stopping, _RETRY_SECONDS)
            except asyncio.CancelledError:
                await producer.stop()
                raise
            else:
                self._producer = producer
                return
