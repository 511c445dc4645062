"""`ops-assist lag`."""

import asyncio
from typing import Annotated

import msgspec
import typer

from ops_assist.kafka_access import admin, consumer
from ops_assist.output import print_json, print_table
from ops_assist.running import kafka_settings
from runtime.lag import Lag, committed_offsets, lags
from runtime.settings import Settings, load_settings

app = typer.Typer(add_completion=False)


@app.command()
def lag(
    *,
    group: Annotated[str, typer.Option(help="Only this consumer group.")] = "",
    bootstrap_servers: Annotated[str, typer.Option(help="The Kafka cluster; default: that of the settings.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show how many records each consumer group has not yet committed.

    Groups are those that commit to Kafka. The embedded broker tells ends that may lie too low behind a batch.
    """
    rows = asyncio.run(_lags(kafka_settings(load_settings(), bootstrap_servers), group))
    if as_json:
        print_json(rows)
    else:
        columns = ("group", "topic", "#partition", "#current", "#end", "#lag")
        print_table(columns, (msgspec.structs.astuple(row) for row in rows))
        typer.echo(f"{sum(row.lag for row in rows):,} records behind in all")


async def _lags(settings: Settings, wanted: str) -> list[Lag]:
    async with admin(settings) as client:
        committed = await committed_offsets(client, wanted)
    async with consumer(settings) as reader:
        return await lags(committed, reader)
