"""Dead letters in Kafka: read, sent again, and what was done with each remembered where every operator sees it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from ops_assist.dead_letters.letters import Letter, letter_of
from ops_assist.kafka_access import admin, consumer, partitions_of, producer
from ops_assist.progress import progress_of
from runtime.settings import Settings
from schemas.codec import decode_letter_decision, encode
from schemas.letter_decision import LetterDecision
from schemas.topics import DLQ_DECISIONS
from stream_processor.backtest.topic_range import Bound, Range, find_ranges, read_range
from stream_processor.outgoing import Outgoing

_AT_ONCE: Final = 200


async def read_letters(
    settings: Settings,
    topic: str,
    since: Bound | None,
    until: Bound | None,
    take: Callable[[Letter], None],
    *,
    only: Sequence[Range] | None = None,
) -> None:
    """Hand over every letter of the range, or of the ranges `only` as far as they exist, partition by partition."""
    async with admin(settings) as client:
        numbers = [place.partition for place in await partitions_of(client, topic)]
        has_decisions = DLQ_DECISIONS in await client.list_topics()
        deciding = [p.partition for p in await partitions_of(client, DLQ_DECISIONS)] if has_decisions else []
    async with consumer(settings) as reader:
        decisions = await _decisions(reader, deciding)
        ranges = await find_ranges(reader, topic, numbers, since, until)
        wanted = ranges if only is None else _existing(only, ranges)
        with progress_of(f"read {topic}", sum(one.size for one in wanted)) as advance:
            async for records in _records(reader, topic, wanted):
                for record in records:
                    take(letter_of(record, decisions.get(f"{topic}/{record.partition}/{record.offset}")))
                advance(len(records))


def _existing(wanted: Iterable[Range], there: Iterable[Range]) -> list[Range]:
    known = {one.partition: one for one in there}
    return [
        one
        for one in wanted
        if (all_of := known.get(one.partition)) and all_of.start <= one.start and one.end <= all_of.end
    ]


async def _records(reader: AIOKafkaConsumer, topic: str, ranges: Iterable[Range]) -> AsyncIterator[Sequence[Any]]:
    for one in ranges:
        async for records in read_range(reader, topic, one):
            yield records


async def _decisions(reader: AIOKafkaConsumer, partitions: Sequence[int]) -> dict[str, LetterDecision]:
    found: dict[str, LetterDecision] = {}
    ranges = await find_ranges(reader, DLQ_DECISIONS, partitions, None, None) if partitions else []
    async for records in _records(reader, DLQ_DECISIONS, ranges):
        for record in records:
            decision = decode_letter_decision(record.value or b"")
            found[decision.key] = decision
    return found


class Desk:
    """Carries out decisions. What is sent is acknowledged before it is marked: a crash between repeats the sending."""

    def __init__(self, client: AIOKafkaProducer) -> None:
        self._client = client

    async def send(self, records: Sequence[Outgoing]) -> None:
        """Send records again; returns once all in-sync replicas have them."""
        await asyncio.gather(
            *[
                await self._client.send(
                    record.topic, record.value, record.key, record.partition, headers=list(record.headers)
                )
                for record in records
            ]
        )

    async def mark(self, decisions: Sequence[LetterDecision]) -> None:
        """Remember what was done."""
        await asyncio.gather(
            *[await self._client.send(DLQ_DECISIONS, encode(one), one.key.encode()) for one in decisions]
        )


async def carry_out(
    settings: Settings,
    work: Sequence[tuple[LetterDecision, Sequence[Outgoing]]],
    advance: Callable[[int], None],
) -> None:
    """Send and mark, some hundred letters at a time."""
    async with producer(settings) as client:
        desk = Desk(client)
        for start in range(0, len(work), _AT_ONCE):
            some = work[start : start + _AT_ONCE]
            await desk.send([record for _, records in some for record in records])
            await desk.mark([decision for decision, _ in some])
            advance(len(some))


async def partition_count(settings: Settings, topic: str) -> int:
    """How many partitions a topic has."""
    async with admin(settings) as client:
        return len(await partitions_of(client, topic))
