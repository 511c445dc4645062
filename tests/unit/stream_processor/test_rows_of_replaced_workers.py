"""A worker that was frozen in the middle of a write sends it when it wakes up, behind what its successor wrote."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import faust
import msgspec
import pytest
from aiokafka.structs import TopicPartition

from stream_processor.disk_rows import DiskRows
from stream_processor.durable_table import DurableTable
from stream_processor.row_store import MemoryRows
from stream_processor.span import Span
from stream_processor.state import EndedRow, ServiceState, ended_row, new_state, read_state, state_rows, supersedes

SERVICE = "checkout"


def row_of(state: ServiceState) -> tuple[bytes, bytes]:
    """The state's own row, as the changelog gets it next."""
    [(key, row)] = [(key, row) for key, row in state_rows(state).items() if row is not None]
    return key, row


def state_at(offset: int, writes_before: int = 0) -> ServiceState:
    state = new_state(SERVICE)
    state.offset, state.revision = offset, writes_before
    return state


@pytest.mark.parametrize(
    ("late", "present", "expected"),
    [
        pytest.param(state_at(7), state_at(9), False, id="fewer events"),
        pytest.param(state_at(9), state_at(7), True, id="more events"),
        pytest.param(state_at(9, 3), state_at(9, 4), False, id="before a person's change"),
        pytest.param(state_at(9, 5), state_at(9, 4), True, id="after a person's change"),
        pytest.param(state_at(9, 4), state_at(9, 4), False, id="at odds: the first one was recovered and built on"),
    ],
)
def test_a_service_row_replaces_only_what_is_older(late: ServiceState, present: ServiceState, expected: bool) -> None:  # noqa: FBT001 - a table's column
    """Offsets decide, and between equal offsets the number of writes."""
    key, row = row_of(late)
    assert supersedes(key, row, row_of(present)[1]) is expected


@pytest.mark.parametrize(("late", "expected"), [(4, False), (6, True)])
def test_an_ended_incident_replaces_only_an_older_version(late: int, expected: bool) -> None:  # noqa: FBT001 - the same
    """Its version counts what it has taken in."""
    [(key, present)] = ended_row(ended(5)).items()
    [(_, row)] = ended_row(ended(late)).items()
    assert row is not None
    assert present is not None
    assert supersedes(key, row, present) is expected


def ended(version: int) -> EndedRow:
    span = msgspec.convert(
        ["k", version, "closed", [[1, 1, 0]], 1, 1, 1, 1, 5, 300, "burst", [], [], []], Span, strict=False
    )
    return EndedRow(SERVICE, "error-burst", span)


def test_each_write_counts() -> None:
    """A state that is read back goes on counting, so that no two writes of a history look alike."""
    rows = dict([row_of(state_at(3))])
    again = read_state(SERVICE, rows.get)
    rows |= dict([row_of(again)])
    assert (again.revision, read_state(SERVICE, rows.get).revision) == (2, 2)


class Changelog:
    """Stands for a reader of one changelog partition."""

    def __init__(self, *records: tuple[bytes, bytes | None]) -> None:
        self.records = [SimpleNamespace(key=k, value=v, offset=n) for n, (k, v) in enumerate(records)]
        self.read_to = 0

    def assign(self, partitions: list[TopicPartition]) -> None:
        [self.tp] = partitions

    async def end_offsets(self, _: Any) -> dict[TopicPartition, int]:
        return {self.tp: len(self.records)}

    async def beginning_offsets(self, _: Any) -> dict[TopicPartition, int]:
        return {self.tp: 0}

    def seek(self, _: TopicPartition, offset: int) -> None:
        self.read_to = offset

    async def position(self, _: TopicPartition) -> int:
        return self.read_to

    async def getmany(self, *_: TopicPartition, timeout_ms: int) -> dict[TopicPartition, list[Any]]:
        del timeout_ms
        records, self.read_to = self.records[self.read_to :], len(self.records)
        return {self.tp: records}


@pytest.mark.parametrize("kind", ["memory", "disk"])
async def test_recovery_takes_the_newest_row_wherever_it_lies(kind: str, tmp_path: Path) -> None:
    """What its successor had counted is not forgotten; rows of other kinds are taken as they come."""
    app = faust.App("recovering", broker="kafka://127.0.0.1:1", Table=DurableTable)
    store = MemoryRows() if kind == "memory" else DiskRows(tmp_path)
    table = app.Table("rows", partitions=1, key_type=bytes, value_type=bytes, supersedes=supersedes, row_store=store)
    assert isinstance(table, DurableTable)
    (key, newest), (_, late) = row_of(state_at(9)), row_of(state_at(7))

    await table.recover(
        Changelog((key, newest), (key, late), (b"i1", b"x"), (b"i1", b"y"), (b"i2", b"z"), (b"i2", None)),
        frozenset({0}),
    )

    assert dict(table.rows(0)) == {key: newest, b"i1": b"y"}
    if isinstance(store, DiskRows):
        store.close()
