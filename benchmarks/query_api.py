"""The query API over a million incidents and twenty million events, at a constant rate: how long clients wait.

Usage: python -m benchmarks.query_api [--incidents N] [--events N] [--rate R] [--seconds S] [--data DIR]

Fills a PostgreSQL of its own (in DIR, where it stays for the next run, else in a directory that is removed), serves the
real app in a process of its own and asks it R times a second. Each request is due at a fixed time and its wait counts
from then, also where the client was late to send it: a slow answer hides no request behind it (coordinated omission).
Prints milliseconds by kind of request, and the plans of PostgreSQL.
"""

import argparse
import asyncio
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import quantiles
from typing import Final

import asyncpg
import httpx
import psutil

from benchmarks.view_filling import fill
from deploy.brokers.ports import free_port
from deploy.postgres import EmbeddedPostgres
from query_api.database import connect
from query_api.migrate import migrate


class Paths:
    """Random requests of each kind, over what the view holds."""

    def __init__(self, incidents: int, services: int, seed: int = 7) -> None:
        self._incidents, self._services, self._random = incidents, services, random.Random(seed)  # noqa: S311 - no secret
        self.next: dict[str, str] = {}
        self.kinds: Mapping[str, tuple[int, Callable[[], str]]] = {
            "list, first page": (16, lambda: "/api/v1/incidents"),
            "list, one status": (8, lambda: f"/api/v1/incidents?status_filter={self._random.choice(_STATUSES)}"),
            "list, one service": (6, lambda: f"/api/v1/incidents?service={self._service()}"),
            "list, severity and category": (4, lambda: "/api/v1/incidents?severity=P1&category=disk_issue"),
            "list, between two times": (4, self._between),
            "list, text (rare)": (3, lambda: f"/api/v1/incidents?q=number%20{self._random.randrange(incidents)}%20"),
            "list, text (half of all)": (3, lambda: "/api/v1/incidents?q=exhausted"),
            "list, by last event": (6, lambda: "/api/v1/incidents?sort=-last_event_at"),
            "list, by events": (3, lambda: "/api/v1/incidents?sort=-event_count&status_filter=open"),
            "list, deep page by skip": (6, lambda: f"/api/v1/incidents?skip={self._random.randrange(incidents - 100)}"),
            "list, deep page by skip, one status": (
                3, lambda: f"/api/v1/incidents?status_filter=closed&skip={self._random.randrange(incidents // 2)}",
            ),
            "list, deep page by Link": (6, lambda: self._follow("/api/v1/incidents?skip=500000&sort=-last_event_at")),
            "counts of all": (4, lambda: "/api/v1/incidents/counts"),
            "detail": (24, lambda: f"/api/v1/incidents/{self._recent()}"),
            "events of an incident": (4, lambda: f"/api/v1/events?incident_id={self._recent()}"),
            "events, first page": (2, lambda: "/api/v1/events"),
            "events, one service and level": (2, lambda: f"/api/v1/events?service={self._service()}&level=ERROR"),
            "events, one service, any level": (1, lambda: f"/api/v1/events?service={self._service()}"),
            "events, a level that nobody sends": (1, lambda: "/api/v1/events?level=FATAL"),
            "events, deep page by Link": (1, lambda: self._follow("/api/v1/events?skip=100000")),
        }  # fmt: skip

    def choose(self) -> tuple[str, str]:
        """A kind, by its weight, and a path."""
        (kind,) = self._random.choices(list(self.kinds), [weight for weight, _ in self.kinds.values()])
        return kind, self.kinds[kind][1]()

    def _recent(self) -> int:
        """Mostly an incident whose events are still there, sometimes an old one."""
        return self._incidents - self._random.randrange(self._incidents // 4)

    def _service(self) -> str:
        return f"service-{self._random.randrange(self._services):04}"

    def _between(self) -> str:
        day = self._random.randrange(1, 60)
        return f"/api/v1/incidents?since=2026-{day // 28 + 1:02}-{day % 28 + 1:02}T05:00:00Z&until=2026-03-20T07:00:00Z"

    def _follow(self, begin: str) -> str:
        return self.next.get(begin.partition("?")[0], begin)


_STATUSES: Final = ("open", "investigating", "resolved", "closed")
_SERVICES: Final = 2_000


async def load(base_url: str, paths: Paths, rate: float, seconds: float) -> dict[str, list[float]]:
    """Ask at a constant rate; gives the waits of each kind, in seconds from when each request was due."""
    waits: dict[str, list[float]] = defaultdict(list)
    async with httpx.AsyncClient(base_url=base_url, timeout=30, limits=httpx.Limits(max_connections=200)) as client:

        async def ask(due: float) -> None:
            kind, path = paths.choose()
            answer = await client.get(path)
            waits[kind].append(time.perf_counter() - due)
            answer.raise_for_status()
            if "Link" in kind:
                paths.next[path.partition("?")[0]] = answer.links.get("next", {}).get("url", path)

        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(int(rate * seconds)):
                due = began + number / rate
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                group.create_task(ask(due))
    return waits


@contextmanager
def served(database_url: str) -> Iterator[tuple[str, psutil.Process]]:
    """The query API as a process."""
    port = free_port()
    environment = {
        **os.environ, "DATABASE_URL": database_url, "HTTP_PORT": str(port), "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "LOG_LEVEL": "ERROR",
    }  # fmt: skip
    process = subprocess.Popen([sys.executable, "-m", "query_api"], env=environment)
    try:
        url = f"http://127.0.0.1:{port}"
        _await(lambda: httpx.get(f"{url}/health").status_code == 200, process)  # noqa: PLR2004 - the status
        yield url, psutil.Process(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def _await(answers: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        try:
            if answers():
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise RuntimeError("the query API ended at once")


def show(waits: Mapping[str, list[float]]) -> None:
    """A table in milliseconds."""
    sys.stdout.write(f"{'request':<38}{'n':>7}{'p50':>8}{'p95':>8}{'p99':>8}{'max':>8}\n")
    for kind, found in sorted([*waits.items(), *_together(waits)], key=lambda item: (item[0].isupper(), item[0])):
        steps = quantiles(found, n=100) if len(found) > 1 else found * 99
        cells = "".join(f"{value * 1000:>8.1f}" for value in (steps[49], steps[94], steps[98], max(found)))
        sys.stdout.write(f"{kind:<38}{len(found):>7}{cells}\n")


def _together(waits: Mapping[str, list[float]]) -> list[tuple[str, list[float]]]:
    groups: dict[str, list[float]] = defaultdict(list)
    for kind, found in waits.items():
        groups[kind.split()[0].strip(",").upper()] += found
    return list(groups.items())


_PLANS: Final = {
    "list, first page: ids from the index, then 101 rows": """
        SELECT * FROM incidents WHERE id IN (
            SELECT id FROM incidents WHERE merged_into IS NULL ORDER BY created_at DESC, id DESC LIMIT 101)
        ORDER BY created_at DESC, id DESC""",
    "total of a filter: the counts of the database": """
        SELECT sum(incidents) FROM incident_counts WHERE service = '' AND status = 'open'""",
    "deep page by skip: its day, from the counts by day": """
        SELECT day, reached - n FROM (
            SELECT day, n, sum(n) OVER (ORDER BY day DESC) AS reached
            FROM (SELECT day, sum(incidents) AS n FROM incident_days GROUP BY day) days) sums
        WHERE reached > 700000 ORDER BY day DESC LIMIT 1""",
    "deep page by Link: from a place in the index": """
        SELECT * FROM incidents
        WHERE merged_into IS NULL AND (last_event_at, id) < ('2026-02-01T00:00:00Z', 700000)
        ORDER BY last_event_at DESC, id DESC LIMIT 101""",
    "text: the index of trigrams": """
        SELECT count(*) FROM incidents WHERE merged_into IS NULL AND (
            summary ILIKE '%r 777777 %' OR service ILIKE '%r 777777 %' OR category ILIKE '%r 777777 %')""",
    "events of one service and level: their places, newest first": """
        SELECT event_time, partition, record_offset, idx, received_at FROM events
        WHERE service = 'service-0241' AND level = 'ERROR'
        ORDER BY event_time DESC, partition DESC, record_offset DESC, idx DESC LIMIT 101""",
    "detail: the newest events of an incident": """
        SELECT e.* FROM events e JOIN (
            SELECT event_time, partition, record_offset, idx FROM incident_events
            WHERE incident_key = (SELECT key FROM incidents WHERE id = 999999)
            ORDER BY event_time DESC, partition DESC, record_offset DESC, idx DESC LIMIT 101) l
        USING (partition, record_offset, idx)""",
}


async def plans(database_url: str) -> None:
    """What PostgreSQL does for each, and how long it takes there."""
    connection: asyncpg.Connection = await connect(database_url)
    try:
        for name, query in _PLANS.items():
            for _ in range(2):  # the second finds its pages in memory, as under load
                rows = await connection.fetch(f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) {query}")
            sys.stdout.write(f"\n-- {name}\n" + "\n".join(row[0] for row in rows) + "\n")
    finally:
        await connection.close()


def main(arguments: argparse.Namespace) -> None:
    """Start, fill, ask, print."""
    with tempfile.TemporaryDirectory() as name:
        postgres = EmbeddedPostgres(Path(arguments.data or name), fast=True)
        postgres.start()
        try:
            asyncio.run(migrate(postgres.url))
            asyncio.run(fill(postgres.url, arguments.incidents, arguments.events, _SERVICES))
            with served(postgres.url) as (url, process):
                paths = Paths(arguments.incidents, _SERVICES)
                asyncio.run(load(url, paths, arguments.rate, 10))  # the first requests find nothing in memory
                before, began = sum(process.cpu_times()[:2]), time.monotonic()
                show(asyncio.run(load(url, paths, arguments.rate, arguments.seconds)))
                share = (sum(process.cpu_times()[:2]) - before) / (time.monotonic() - began)
                sys.stdout.write(
                    f"the API: {share:.0%} of a core, {process.memory_info().rss / 2**20:.0f} MiB resident; "
                    f"load of the machine over a minute: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n"
                )
            if arguments.plans:
                asyncio.run(plans(postgres.url))
        finally:
            postgres.stop()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benchmarks.query_api", description=__doc__.partition("\n")[0] if __doc__ else ""
    )
    parser.add_argument("--incidents", type=int, default=1_000_000)
    parser.add_argument("--events", type=int, default=20_000_000)
    parser.add_argument("--rate", type=float, default=50.0, help="requests a second")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--data", help="a directory whose filled database is kept and used again")
    parser.add_argument("--plans", action="store_true", help="print the query plans too")
    return parser.parse_args()


if __name__ == "__main__":
    main(_arguments())
