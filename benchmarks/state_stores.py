"""Stores for the rows of state, side by side: puts, gets, and the rebuilding of many rows from a changelog.

Usage: python -m benchmarks.state_stores [rows]

Each store runs in a process of its own and takes rows of 1 KiB with keys as the processor's, in a random order. Puts
are transactions of 8 rows, which is what a small batch of events writes; a rebuild looks each key up and sets it, in
fetches of 2,000, as a recovery does. rocksdict and lmdb are measured where they are installed.
"""

import importlib.util
import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import psutil

from stream_processor.disk_rows import DiskRows
from stream_processor.row_store import Change, MemoryRows, RowStore

_ROW_BYTES: Final = 1024
_TRANSACTION: Final = 8
_FETCH: Final = 2_000
_OPERATIONS: Final = 40_000


class RocksRows:
    """rocksdict with small caches (its defaults take 2 GiB), without a write-ahead log."""

    def __init__(self, directory: Path) -> None:
        import rocksdict  # type: ignore[import-not-found]  # noqa: PLC0415 - not installed with the project

        options = rocksdict.Options(raw_mode=True)
        options.set_write_buffer_size(8 << 20)
        table = rocksdict.BlockBasedOptions()
        table.set_block_cache(rocksdict.Cache(64 << 20))
        table.set_bloom_filter(10, block_based=False)
        options.set_block_based_table_factory(table)
        self._batch = rocksdict.WriteBatch
        self._database = rocksdict.Rdict(str(directory / "rocks"), options)
        unlogged = rocksdict.WriteOptions()
        unlogged.disable_wal = True
        self._database.set_write_options(unlogged)

    def get(self, key: bytes) -> bytes | None:
        """The row of `key`."""
        found: bytes | None = self._database.get(key)
        return found

    def apply(self, _: int, changes: Iterable[Change]) -> None:
        """Set and delete rows."""
        batch = self._batch(raw_mode=True)
        for key, row in changes:
            if row is None:
                batch.delete(key)
            else:
                batch.put(key, row)
        self._database.write(batch)


class LmdbRows:
    """LMDB that syncs nothing."""

    def __init__(self, directory: Path) -> None:
        import lmdb  # type: ignore[import-not-found]  # noqa: PLC0415 - the same

        self._database = lmdb.open(
            str(directory), map_size=64 << 30, sync=False, metasync=False, lock=False, writemap=True, map_async=True
        )

    def get(self, key: bytes) -> bytes | None:
        """The row of `key`."""
        with self._database.begin() as transaction:
            found: bytes | None = transaction.get(key)
        return found

    def apply(self, _: int, changes: Iterable[Change]) -> None:
        """Set and delete rows."""
        with self._database.begin(write=True) as transaction:
            for key, row in changes:
                if row is None:
                    transaction.delete(key)
                else:
                    transaction.put(key, row)


STORES: Final[dict[str, Callable[[Path], Any]]] = {
    "memory": lambda _: MemoryRows(),
    "sqlite3": DiskRows,
    "rocksdict": RocksRows,
    "lmdb": LmdbRows,
}


def key_of(number: int) -> bytes:
    """The key of a service's row."""
    return f"steam-{number % 97}/service-{number}".encode()


def rebuild(store: RowStore, order: list[int]) -> float:
    """Fill the store as a recovery does; gives the seconds."""
    body = os.urandom(_ROW_BYTES - 8)
    started = time.perf_counter()
    for at in range(0, len(order), _FETCH):
        fetch: list[Change] = [(key_of(number), body + number.to_bytes(8, "big")) for number in order[at : at + _FETCH]]
        for key, _ in fetch:
            store.get(key)
        store.apply(0, fetch)
    return time.perf_counter() - started


def micros(operation: Callable[[int], object], chosen: list[int]) -> list[float]:
    """Microseconds that the operation takes for each of the chosen, sorted."""
    taken = []
    for number in chosen:
        started = time.perf_counter()
        operation(number)
        taken.append((time.perf_counter() - started) * 1e6)
    return sorted(taken)


def measure(name: str, rows: int, directory: Path) -> None:
    """Print the line of one store."""
    process, dice = psutil.Process(), random.Random(7)  # noqa: S311 - the same order for every store
    order = list(range(rows))
    dice.shuffle(order)
    before = process.memory_info().rss
    store = STORES[name](directory)
    seconds = rebuild(store, order)
    other = dice.randbytes(_ROW_BYTES)

    def put(number: int) -> None:
        store.apply(0, [(key_of((number + n * 7919) % rows), other) for n in range(_TRANSACTION)])

    puts = micros(put, dice.choices(order, k=_OPERATIONS // _TRANSACTION))
    gets = micros(lambda number: store.get(key_of(number)), dice.choices(order, k=_OPERATIONS))
    resident = (process.memory_info().rss - before) / 2**20
    figures = (puts[len(puts) // 2], puts[len(puts) * 99 // 100], gets[len(gets) // 2], gets[len(gets) * 99 // 100])
    told = "".join(f"{figure:>10.1f}" for figure in figures)
    sys.stdout.write(f"{name:<10}{seconds:>10.2f} s{told}{resident:>10,.0f} MiB\n")
    sys.stdout.flush()


def main(rows: int) -> None:
    """One line a store."""
    sys.stdout.write(f"{rows:,} rows of {_ROW_BYTES} bytes; puts are transactions of {_TRANSACTION}; times in us\n")
    sys.stdout.write(f"{'store':<10}{'rebuilt in':>12}{'put p50':>10}{'put p99':>10}{'get p50':>10}{'get p99':>10}")
    sys.stdout.write(f"{'resident':>14}\n")
    sys.stdout.flush()
    for name in STORES:
        if name in ("rocksdict", "lmdb") and importlib.util.find_spec(name) is None:
            continue
        with tempfile.TemporaryDirectory(dir=os.environ.get("STATE_DIR")) as directory:
            child = multiprocessing.get_context("spawn").Process(target=measure, args=(name, rows, Path(directory)))
            child.start()
            child.join()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000)
