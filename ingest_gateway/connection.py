"""One producer's life: connect, carry records lane by lane, and end within bounds."""

import asyncio
from typing import Any, Final, Self

import structlog
from aiokafka import AIOKafkaProducer

from ingest_gateway.event_log import Record
from ingest_gateway.lane import Delivery, Lane
from runtime.kafka import ensure_topics, make_producer
from runtime.settings import Settings
from schemas.placement import home_partition
from schemas.topics import EVENTS

log = structlog.get_logger(__name__)

_METADATA_MAX_AGE_MS: Final = 30_000
_RETRY_BACKOFF_MS: Final = 200


class Connection:
    """A started producer with a lane for each partition; `broken` tells when it needs a successor, and why."""

    def __init__(self, producer: AIOKafkaProducer, partitions: int) -> None:
        self._producer = producer
        self._partitions = partitions
        self._lanes: dict[int, Lane] = {}
        self.broken: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        producer.client.cluster.add_listener(self._metadata_updated)

    @classmethod
    async def open(cls, settings: Settings, within: float) -> Self:
        """Connect, make the topics that are missing and find the partitions of `ops.events`.

        Raises:
            KafkaError, OSError, TimeoutError, TopicsUnsuitable: where that is not possible within `within` seconds.
        """
        producer = make_producer(
            settings,
            "ingest-gateway",
            linger_ms=0,  # the lanes gather while a batch is under way
            metadata_max_age_ms=_METADATA_MAX_AGE_MS,
            retry_backoff_ms=_RETRY_BACKOFF_MS,
            request_timeout_ms=int(settings.publish_timeout * 1_000),
        )
        try:
            async with asyncio.timeout(within):
                await producer.start()
                if EVENTS not in (await producer.client.fetch_all_metadata()).topics():
                    await ensure_topics(settings)
                partitions = len(await producer.partitions_for(EVENTS))
        except BaseException:
            await _discard(producer, 0.0)
            raise
        return cls(producer, partitions)

    @property
    def partitions(self) -> int:
        """How many `ops.events` has, as far as the cluster has told."""
        return self._partitions

    def put(self, record: Record) -> Delivery:
        """Queue a record at the home partition of its service."""
        return self._lane(record.service).put(record.service.encode(), record.value, record.headers)

    def waiting_for(self, service: str) -> float:
        """Seconds that the service's lane has waited for an acknowledgement."""
        return self._lane(service).waiting_for()

    def longest_wait(self) -> float:
        """Seconds that the slowest lane has waited for an acknowledgement."""
        return max((lane.waiting_for() for lane in self._lanes.values()), default=0.0)

    async def probe(self) -> None:
        """Ask the cluster for its metadata.

        Raises:
            KafkaError: where no broker answers.
        """
        await self._producer.client.fetch_all_metadata()

    async def close(self, grace: float) -> None:
        """Wait up to `grace` seconds for what is under way, then let go of the producer; at most about twice that."""
        tasks = [lane.task for lane in self._lanes.values() if lane.task and not lane.task.done()]
        stuck = (await asyncio.wait(tasks, timeout=grace))[1] if tasks else set()
        for lane in self._lanes.values():
            lane.give_up()
        for task in stuck:
            task.cancel()
        if stuck:
            await asyncio.wait(stuck)
            await _discard(self._producer, grace)
        else:
            await self._producer.stop()

    def _lane(self, service: str) -> Lane:
        partition = home_partition(service, self._partitions)
        lane = self._lanes.get(partition)
        if lane is None:
            lane = self._lanes[partition] = Lane(self._producer, partition, self._on_broken)
        return lane

    def _on_broken(self, reason: str) -> None:
        if not self.broken.done():
            self.broken.set_result(reason)

    def _metadata_updated(self, cluster: Any) -> None:
        partitions = cluster.partitions_for_topic(EVENTS)
        if partitions:
            self._partitions = len(partitions)


async def _discard(producer: AIOKafkaProducer, grace: float) -> None:
    """Let go of a producer whose batches will not be acknowledged.

    `AIOKafkaProducer.stop` waits for them without end (aiokafka 0.14.0, with idempotence), so its parts are ended here.
    """
    task = producer._sender.sender_task  # noqa: SLF001 - there is no public way to stop without a flush
    if task is not None:
        task.cancel()
        await asyncio.wait([task], timeout=grace)
        task.cancel()
    await producer.client.close()
    producer._closed = True  # noqa: SLF001 - else its finalizer warns of what was just closed
