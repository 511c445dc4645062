"""Copies records and remembers how far it has come, so that a copy that was broken off goes on where it was.

Records are written at least once: what was acknowledged after the last note of how far it had come is written again
by the next run. In `ops.events` that changes nothing, since events are known by their ids.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from aiokafka import AIOKafkaProducer

from ops_assist.errors import CommandError
from ops_assist.replaying.kept import kept_value
from ops_assist.sending.pace import Pace
from schemas.placement import home_partition
from stream_processor.backtest.topic_range import Range

_SAVE_EVERY: Final = 1_000


class Position(msgspec.Struct):
    """How far a copy has come: the ranges that it copies, and the next offset of each partition."""

    ranges: list[Range]
    following: dict[int, int] = {}
    copied: int = 0

    def left(self) -> list[Range]:
        """What is still to be copied."""
        starts = ((one, self.following.get(one.partition, one.start)) for one in self.ranges)
        return [msgspec.structs.replace(one, start=start) for one, start in starts if start < one.end]


class Notes:
    """The file that remembers a position. `task`: what is copied where to; another task has another file."""

    def __init__(self, directory: Path, task: Sequence[str]) -> None:
        name = hashlib.sha256("\0".join(task).encode()).hexdigest()[:16]
        self.path = directory / f"replay-{name}.json"

    def read(self) -> Position | None:
        """The position of a run that was broken off, if there was one."""
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=Position)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError) as error:
            raise CommandError(f"{self.path}: {error}; delete it to begin anew") from error

    def write(self, position: Position) -> None:
        """Remember; whoever reads sees the whole or nothing."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        passing = self.path.with_suffix(".new")
        passing.write_bytes(msgspec.json.encode(position))
        passing.replace(self.path)

    def forget(self) -> None:
        """It came to its end."""
        self.path.unlink(missing_ok=True)


class Copy:
    """Copies records to `topic`, which has `partitions`; to the same number where the source has as many."""

    def __init__(self, producer: AIOKafkaProducer, topic: str, partitions: int, *, keep_numbers: bool) -> None:
        self._producer = producer
        self._topic = topic
        self._partitions = partitions
        self._keep_numbers = keep_numbers

    async def run(
        self,
        records: AsyncIterator[Any],
        position: Position,
        notes: Notes,
        pace: Pace,
        *,
        service: str = "",
        advance: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Copy all records, or those of a service, as fast as `pace` lets; keys, headers and times stay."""
        waiting: list[asyncio.Future[Any]] = []
        read: dict[int, int] = {}
        async for record in records:
            if pause := pace.pause(record.timestamp * 1_000):
                await self._settle(waiting, read, position, notes, advance)
                await asyncio.sleep(pause)
            value = kept_value(record.value, record.key, service) if service else record.value
            if value is not None or not service:
                waiting.append(await self._send(record, value))
                position.copied += 1
            read[record.partition] = record.offset + 1
            if len(waiting) >= _SAVE_EVERY:
                await self._settle(waiting, read, position, notes, advance)
        await self._settle(waiting, read, position, notes, advance)

    async def _send(self, record: Any, value: bytes | None) -> asyncio.Future[Any]:
        sent: asyncio.Future[Any] = await self._producer.send(
            self._topic,
            value,
            record.key,
            self._place_of(record),
            timestamp_ms=record.timestamp,
            headers=list(record.headers),
        )
        return sent

    def _place_of(self, record: Any) -> int:
        if self._keep_numbers or record.key is None:
            return int(record.partition) % self._partitions
        return home_partition(record.key.decode("utf-8", "surrogateescape"), self._partitions)

    async def _settle(
        self,
        waiting: list[asyncio.Future[Any]],
        read: dict[int, int],
        position: Position,
        notes: Notes,
        advance: Callable[[int], None],
    ) -> None:
        """Wait until all that was sent is acknowledged, and remember it."""
        await asyncio.gather(*waiting)
        waiting.clear()
        starts = {one.partition: one.start for one in position.ranges}
        done = sum(at - position.following.get(number, starts[number]) for number, at in read.items())
        position.following.update(read)
        if done:
            notes.write(position)
            advance(done)
