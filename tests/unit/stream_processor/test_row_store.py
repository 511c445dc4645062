"""The stores of state rows behave alike, in memory and on disk."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream_processor.disk_rows import DiskRows
from stream_processor.row_store import MemoryRows, RowStore

KEYS = st.sampled_from([b"a", b"b", b"c", b"\x00\xff", b""])
Changes = list[tuple[bytes, bytes | None]]
CHANGES = st.lists(st.tuples(KEYS, st.one_of(st.none(), st.binary(max_size=3))), max_size=6)


@pytest.fixture(params=["memory", "disk"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RowStore]:
    """Each store, empty, with two partitions."""
    made: RowStore = MemoryRows() if request.param == "memory" else DiskRows(tmp_path / "rows")
    made.reset({0, 1})
    yield made
    if isinstance(made, DiskRows):
        made.close()


def test_rows_are_set_replaced_and_deleted_in_order(store: RowStore) -> None:
    """A change of one key twice in one write leaves the last; deleting what is not there does nothing."""
    store.apply(0, [(b"a", b"1"), (b"b", b"2"), (b"a", b"3"), (b"z", None), (b"b", None)])
    assert dict(store.rows(0)) == {b"a": b"3"}
    assert (store.get(b"a"), store.get(b"b"), len(store)) == (b"3", None, 1)


def test_each_partition_has_its_own_rows(store: RowStore) -> None:
    """Looked up by key alone, listed by partition."""
    store.apply(0, [(b"a", b"1")])
    store.apply(1, [(b"b", b"2")])
    assert (store.get(b"a"), store.get(b"b")) == (b"1", b"2")
    assert [dict(store.rows(partition)) for partition in (0, 1, 2)] == [{b"a": b"1"}, {b"b": b"2"}, {}]
    assert sorted(store.keys()) == [b"a", b"b"]
    assert store.rows(1)[b"b"] == b"2"
    assert b"a" not in store.rows(1)
    assert len(store.rows(1)) == 1


def test_a_reset_forgets_everything(store: RowStore) -> None:
    """A recovery begins with nothing."""
    store.apply(0, [(b"a", b"1")])
    store.reset({0})
    assert (store.get(b"a"), dict(store.rows(0)), len(store)) == (None, {}, 0)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
@given(st.lists(CHANGES, max_size=5))
def test_any_history_leaves_what_a_dictionary_would_hold(store: RowStore, history: list[Changes]) -> None:
    """Empty keys and rows included."""
    store.reset({0})
    expected: dict[bytes, bytes] = {}
    for changes in history:
        store.apply(0, changes)
        for key, row in changes:
            if row is None:
                expected.pop(key, None)
            else:
                expected[key] = row
    assert dict(store.rows(0)) == expected
    assert sorted(store.keys()) == sorted(expected)
    assert len(store) == len(expected)


def test_the_file_is_gone_with_whoever_had_it(tmp_path: Path) -> None:
    """It has no name: no start finds the rows of another, and a killed process leaves nothing behind."""
    store = DiskRows(tmp_path / "new" / "folder")
    store.apply(0, [(bytes([number]), bytes(100_000)) for number in range(50)])
    assert list((tmp_path / "new" / "folder").iterdir()) == []
    assert len(store) == 50
    store.close()


def test_a_full_disk_is_an_error_not_a_lost_row(tmp_path: Path) -> None:
    """The worker ends then, before it acknowledges anything; its successor reads the changelog."""
    store = DiskRows(tmp_path)
    store._database.execute("PRAGMA max_page_count = 20")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        store.apply(0, [(bytes([number]), bytes(10_000)) for number in range(50)])
    store.close()
