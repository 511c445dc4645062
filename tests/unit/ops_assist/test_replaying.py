"""Copying records: what is kept of one service, and how a copy that was broken off goes on."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ops_assist.errors import CommandError
from ops_assist.replaying.copy import Copy, Notes, Position
from ops_assist.replaying.kept import kept_value
from ops_assist.sending.pace import Pace
from schemas.placement import home_partition
from stream_processor.backtest.topic_range import Range


class Record(msgspec.Struct):
    """A record as a consumer gives it."""

    partition: int
    offset: int
    value: bytes | None = b'{"service":"a"}'
    key: bytes | None = b"a"
    timestamp: int = 1_700_000_000_000
    headers: tuple[tuple[str, bytes], ...] = (("traced", b"yes"),)


class Producer:
    """Keeps what is sent; after `breaks_after` records the broker is away."""

    def __init__(self, breaks_after: int | None = None) -> None:
        self.sent: list[tuple[Any, ...]] = []
        self.breaks_after = breaks_after

    async def send(
        self, topic: str, value: bytes | None, key: bytes | None, partition: int, **more: Any
    ) -> asyncio.Future[None]:
        if self.breaks_after is not None and len(self.sent) >= self.breaks_after:
            raise ConnectionError("away")
        self.sent.append((topic, value, key, partition, more["timestamp_ms"], more["headers"]))
        acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        acknowledged.set_result(None)
        return acknowledged


async def of(ranges: list[Range]) -> AsyncIterator[Record]:
    for one in ranges:
        for offset in range(one.start, one.end):
            yield Record(one.partition, offset, b'{"service":"a","n":%d}' % offset)


@pytest.mark.parametrize(
    ("value", "key", "kept"),
    [
        (b'{"service":" a "}', None, b'{"service":" a "}'),
        (b'{"service":"b"}', b"a", None),
        (b'[{"service":"a"},{"service":"a","level":"x"}]', b"b", b'[{"service":"a"},{"service":"a","level":"x"}]'),
        (b'[{"service":"b"},{"service":"a"},7]', None, b'[{"service":"a"}]'),
        (b"[]", b"a", None),
        (b"junk", b"a", b"junk"),
        (b"junk", b"b", None),
        (None, b"a", None),
    ],
)
def test_of_one_service_only_its_own_is_kept(value: bytes | None, key: bytes | None, kept: bytes | None) -> None:
    """Events by what they say, junk by its key; whole values stay as they are."""
    assert kept_value(value, key, "a") == kept


async def test_a_copy_that_was_broken_off_goes_on_where_it_was(tmp_path: Path) -> None:
    """Nothing is missing; what was under way is written again."""
    ranges = [Range(0, 5, 1505), Range(1, 0, 20)]
    notes, first, second = Notes(tmp_path, ["task"]), Producer(breaks_after=1_200), Producer()
    position = Position(ranges)
    with pytest.raises(ConnectionError):
        await Copy(first, "t", 2, keep_numbers=True).run(of(position.left()), position, notes, Pace())

    resumed = notes.read()
    assert resumed is not None
    assert resumed.left() == [Range(0, 1005, 1505), Range(1, 0, 20)]
    await Copy(second, "t", 2, keep_numbers=True).run(of(resumed.left()), resumed, notes, Pace())

    values = {(sent[3], sent[1]) for sent in (*first.sent, *second.sent)}
    assert len(values) == 1520
    assert len(first.sent) + len(second.sent) == 1720
    finished = notes.read()
    assert finished is not None
    assert finished.left() == []
    notes.forget()
    assert notes.read() is None


async def test_keys_headers_and_times_are_kept_and_keys_find_their_place(tmp_path: Path) -> None:
    """Where the target has another number of partitions, the key decides; without a key, the old number."""
    producer, position = Producer(), Position([Range(4, 0, 2)])

    async def records() -> AsyncIterator[Record]:
        yield Record(4, 0)
        yield Record(4, 1, key=None)

    copy = Copy(producer, "t", 3, keep_numbers=False)
    await copy.run(records(), position, Notes(tmp_path, ["task"]), Pace())
    with_key, without = producer.sent
    headers = [("traced", b"yes")]
    assert with_key == ("t", b'{"service":"a"}', b"a", home_partition("a", 3), 1_700_000_000_000, headers)
    assert without[2:4] == (None, 1)


def test_notes_that_cannot_be_read_say_so(tmp_path: Path) -> None:
    """Rather than beginning anew by itself."""
    notes = Notes(tmp_path, ["task"])
    notes.path.write_text("junk")
    with pytest.raises(CommandError, match="delete it to begin anew"):
        notes.read()
    assert Notes(tmp_path, ["other"]).read() is None
