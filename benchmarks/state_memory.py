"""How much memory the state of a service takes: 200,000 services at rest under the default rule.

Usage: python -m benchmarks.state_memory [services]

Each service has sent a few events, as most have: half of them 3 errors, a third 20 events below ERROR, the rest a burst
of 30 errors that is an open incident. The rows are the bytes that the processor holds and writes to the changelog.
"""

import gc
import sys
import time
from collections import Counter

import psutil

from schemas.event import Event
from schemas.levels import Level
from schemas.timestamps import MICROSECONDS
from stream_processor.decisions import Arrival, Decisions
from stream_processor.detection import detect
from stream_processor.rules import CountRule, RuleSet
from stream_processor.state import new_state, state_rows

_RULES = RuleSet(
    (CountRule("error-burst", ("ERROR", "CRITICAL", "FATAL"), 5, 300 * MICROSECONDS, 3600 * MICROSECONDS),),
    600 * MICROSECONDS,
)
_START = 1_700_000_000 * MICROSECONDS


def kinds() -> tuple[tuple[str, int, Level], ...]:
    """What six services send: name of the kind, events, level."""
    quiet: tuple[str, int, Level] = ("3 errors", 3, "ERROR")
    lively: tuple[str, int, Level] = ("20 infos", 20, "INFO")
    burning: tuple[str, int, Level] = ("open incident", 30, "ERROR")
    return (quiet, lively, quiet, burning, quiet, lively)


def rows_of(service: str, events: int, level: Level) -> dict[bytes, bytes | None]:
    """The rows of a service that has sent so many events, a second apart."""
    state = new_state(service)
    arrivals = [
        Arrival(Event(f"{service}-{n}", service, level, "boom", _START + n * MICROSECONDS), 10_000 + n, 0, _START)
        for n in range(events)
    ]
    detect(state, arrivals, _RULES, Decisions(0))
    return state_rows(state)


def main(services: int) -> None:
    """Fill a table as the processor does and print what it takes."""
    process = psutil.Process()
    gc.collect()
    before = process.memory_info().rss
    table: dict[bytes, bytes | None] = {}
    sizes: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    started = time.perf_counter()
    for number in range(services):
        kind, events, level = kinds()[number % 6]
        rows = rows_of(f"team-{number % 97}/service-{number}", events, level)
        table |= rows
        counts[kind] += 1
        sizes[kind] += sum(len(key) + len(value or b"") for key, value in rows.items())
    gc.collect()
    resident = process.memory_info().rss
    report = [f"{services:,} services in {time.perf_counter() - started:.1f} s"]
    for kind, count in {**counts, "all": services}.items():
        total = sizes[kind] if kind in sizes else sizes.total()
        report.append(f"  {kind:<16}{count:>9,} services {total / count:>8,.0f} B a row with its key")
    report.append(f"resident: {resident / 2**20:,.0f} MiB, {(resident - before) / services:,.0f} B a service")
    sys.stdout.write("\n".join(report) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000)
