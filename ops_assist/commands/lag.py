"""`ops-assist lag`."""

import asyncio
import time
from collections.abc import Sequence
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.console import Group
from rich.live import Live
from rich.text import Text

from ops_assist.kafka_access import failures
from ops_assist.options import BootstrapServers
from ops_assist.output import console, print_json, safe, table
from ops_assist.running import api_url, kafka_settings
from ops_assist.visibility import visibility_in_words
from runtime.lag.history import LagHistory, Trend
from runtime.lag.offsets import GroupState, Lag
from runtime.lag.watch import read_lags
from runtime.lag.words import rate_in_words, span_in_words
from runtime.settings import Settings, load_settings

_COLUMNS: Final = (
    "group",
    "topic",
    "#partition",
    "#current",
    "#end",
    "#lag",
    "#behind",
    "#in/s",
    "#out/s",
    "#caught up in",
)

app = typer.Typer(add_completion=False)

Look = tuple[list[Lag], list[GroupState]]


@app.command()
def lag(
    *,
    group: Annotated[str, typer.Option(help="Only this consumer group.")] = "",
    watch: Annotated[bool, typer.Option("--watch", help="Go on looking, until Ctrl-C.")] = False,
    interval: Annotated[float, typer.Option(min=0.1, max=60, help="Seconds between two looks; rates need two.")] = 1.0,
    url: Annotated[str, typer.Option(help="The HTTP API; default: that of the settings.")] = "",
    bootstrap_servers: BootstrapServers = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON; with --watch an array a look.")] = False,
) -> None:
    """Show how far each consumer group is behind: records, the age of the next one, rates and the time to catch up.

    Groups are those that commit to Kafka. The embedded broker tells ends that may lie too low behind a batch, and no
    states of groups. Below the table: how long incidents take to be seen, and whether the pipeline is blind, as the
    HTTP API tells it; --json leaves both out (see GET /api/v1/pipeline).
    """
    settings = kafka_settings(load_settings(), bootstrap_servers)
    settings = settings.model_copy(update={"api_url": api_url(settings, url)})
    with failures(settings):
        asyncio.run(
            _watch(settings, group, interval, as_json=as_json)
            if watch
            else _once(settings, group, interval, as_json=as_json)
        )


async def _once(settings: Settings, group: str, interval: float, *, as_json: bool) -> None:
    history = LagHistory(recent=interval)
    found = await _look(history, settings, group)
    if found[0]:
        await asyncio.sleep(interval)
        found = await _look(history, settings, group)
    if as_json:
        print_json(_fields(history, found))
    else:
        console().print(_shown(history, found, await visibility_in_words(settings)))


async def _watch(settings: Settings, group: str, interval: float, *, as_json: bool) -> None:
    history = LagHistory()
    screen = console()
    with Live(console=screen, auto_refresh=False, transient=False) as live:
        while True:
            found = await _look(history, settings, group)
            if as_json:
                print_json(_fields(history, found))
            else:
                live.update(_shown(history, found, await visibility_in_words(settings)), refresh=True)
            await asyncio.sleep(interval)


async def _look(history: LagHistory, settings: Settings, group: str) -> Look:
    rows, states = await read_lags(settings, group)
    history.take(time.time(), rows)
    return rows, states


def _fields(history: LagHistory, found: Look) -> list[dict[str, Any]]:
    rows, states = found
    by_group = {state.group: state.state for state in states}
    return [
        msgspec.structs.asdict(row) | msgspec.structs.asdict(history.trend(row)) | {"state": by_group.get(row.group)}
        for row in rows
    ]


def _shown(history: LagHistory, found: Look, visibility: str) -> Group:
    rows, states = found
    cells = [_cells(row, history.trend(row)) for row in rows]
    lines = [f"{state.group}: {state.state}, {_members(state.members)}" for state in states]
    total = f"{sum(row.lag for row in rows):,} records behind in all, the oldest {span_in_words(_oldest(rows))}"
    return Group(table(_COLUMNS, cells), *(Text(safe(line)) for line in [*lines, total, visibility]))


def _cells(row: Lag, trend: Trend) -> tuple[object, ...]:
    return (
        *(row.group, row.topic, row.partition, row.current, row.end, row.lag),
        span_in_words(row.seconds),
        *(rate_in_words(trend.rate_in), rate_in_words(trend.rate_out), span_in_words(trend.seconds_to_catch_up)),
    )


def _oldest(rows: Sequence[Lag]) -> float | None:
    ages = [row.seconds for row in rows]
    known = [age for age in ages if age is not None]
    return None if len(known) < len(ages) else max(known, default=0.0)


def _members(count: int) -> str:
    return f"{count} member{'' if count == 1 else 's'}"
