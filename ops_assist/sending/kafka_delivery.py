"""Batches straight to `ops.events`: events of one service packed into arrays, at the service's home partition."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from aiokafka import AIOKafkaProducer

from ops_assist.sending.outgoing import Outgoing
from ops_assist.sending.tally import Tally
from schemas.placement import home_partition
from schemas.topics import EVENTS

_RECORD_EVENTS: Final = 500
_RECORD_BYTES: Final = 512 * 1024


class KafkaDelivery:
    """Delivers to a cluster; `partitions` is the number of partitions of `ops.events`."""

    def __init__(self, producer: AIOKafkaProducer, partitions: int, tally: Tally) -> None:
        self._producer, self._partitions, self._tally = producer, partitions, tally

    async def __call__(self, batch: Sequence[Outgoing]) -> None:
        """Deliver one batch; returns when all in-sync replicas have it. Raises KafkaError."""
        acknowledgements = [
            await self._producer.send(
                EVENTS, value, key=service.encode(), partition=home_partition(service, self._partitions)
            )
            for service, value in packed(batch)
        ]
        await asyncio.gather(*acknowledgements)
        self._tally.accepted += len(batch)


def packed(batch: Sequence[Outgoing]) -> Iterator[tuple[str, bytes]]:
    """Record values by service: arrays of its events in their order, each within a record's bounds."""
    by_service: defaultdict[str, list[bytes]] = defaultdict(list)
    for event in batch:
        by_service[event.service.strip()].append(event.value)
    for service, values in by_service.items():
        for group in _groups(values):
            yield service, b"[" + b",".join(group) + b"]" if len(group) > 1 else group[0]


def _groups(values: Sequence[bytes]) -> Iterator[list[bytes]]:
    group: list[bytes] = []
    size = 0
    for value in values:
        if group and (len(group) >= _RECORD_EVENTS or size + len(value) > _RECORD_BYTES):
            yield group
            group, size = [], 0
        group.append(value)
        size += len(value)
    yield group
