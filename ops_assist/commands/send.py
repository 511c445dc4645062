"""`ops-assist send`."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from enum import StrEnum
from typing import Annotated, Any, Final

import httpx
import msgspec
import typer

from ops_assist.errors import CommandError
from ops_assist.kafka_access import producer
from ops_assist.options import BootstrapServers
from ops_assist.output import console, print_json, safe
from ops_assist.running import api_url, kafka_settings
from ops_assist.sending.http_delivery import HttpDelivery
from ops_assist.sending.kafka_delivery import KafkaDelivery
from ops_assist.sending.lanes import Lanes
from ops_assist.sending.outgoing import Preparer
from ops_assist.sending.pace import MAX, Pace, parse_speed
from ops_assist.sending.progress import progress
from ops_assist.sending.run import Run
from ops_assist.sending.tally import Summary, Tally
from runtime.settings import Settings, load_settings
from schemas.topics import EVENTS

_LANES: Final = 4
_ANSWER_SECONDS: Final = 60.0

app = typer.Typer(add_completion=False)


class Via(StrEnum):
    """The way that events take."""

    HTTP = "http"
    KAFKA = "kafka"


def _speed(text: str) -> float:
    try:
        return parse_speed(text)
    except ValueError as error:
        raise typer.BadParameter("--speed takes a positive number or max") from error


@app.command()
def send(
    files: Annotated[list[str], typer.Argument(help="JSONL files of events, gzip or not; - is stdin.")],
    *,
    speed: Annotated[
        str, typer.Option(metavar="N|max", help="N times as fast as it was recorded, or as fast as it goes.")
    ] = "max",
    via: Annotated[Via, typer.Option(help="Through the HTTP API, or straight to the topic ops.events.")] = Via.HTTP,
    url: Annotated[str, typer.Option(help="The HTTP API; default: API_URL, else this machine.")] = "",
    bootstrap_servers: BootstrapServers = "",
    batch_size: Annotated[int, typer.Option(min=1, max=10_000, help="Events that travel together.")] = 1_000,
    service_prefix: Annotated[str, typer.Option(help="Goes in front of every service's name.")] = "",
    retry_for: Annotated[float, typer.Option(min=0, help="Seconds to keep trying a batch that is not taken.")] = 60.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the closing counts as JSON.")] = False,
) -> None:
    """Send files of events to the pipeline and say what became of each event.

    Events of one service keep their order. An event without an id gets one, so that a batch that is tried again counts
    once; sending the same file again sends new events. Fails unless every event was accepted.
    """
    factor = _speed(speed)
    settings = load_settings()
    tally = Tally()
    lanes = (
        _kafka_lanes(kafka_settings(settings, bootstrap_servers), batch_size, tally)
        if via is Via.KAFKA
        else _http_lanes(api_url(settings, url), batch_size, tally, retry_for)
    )
    preparer = Preparer(service_prefix=service_prefix, check=via is Via.KAFKA, timed=factor != MAX)
    with progress(tally) as watch:
        failure = _failure_of(_send(files, lanes, Run(preparer, Pace(factor), tally, watch)))
    _close(tally.summary(), failure, as_json=as_json)


def _failure_of(work: Coroutine[Any, Any, None]) -> str:
    """Why it did not come to its end; empty if it did."""
    try:
        asyncio.run(work)
    except CommandError as error:
        return str(error)
    except KeyboardInterrupt:
        return "interrupted"
    return ""


async def _send(files: Sequence[str], opened: AbstractAsyncContextManager[Lanes], run: Run) -> None:
    async with opened as lanes:
        await run.send(files, lanes)


@asynccontextmanager
async def _http_lanes(url: str, batch_size: int, tally: Tally, patience: float) -> AsyncIterator[Lanes]:
    async with httpx.AsyncClient(timeout=_ANSWER_SECONDS) as client:
        delivery = HttpDelivery(client, url, tally, patience=patience)
        yield Lanes(delivery, count=_LANES, batch_size=batch_size)


@asynccontextmanager
async def _kafka_lanes(settings: Settings, batch_size: int, tally: Tally) -> AsyncIterator[Lanes]:
    async with producer(settings) as kafka:
        partitions = await kafka.partitions_for(EVENTS)
        delivery = KafkaDelivery(kafka, len(partitions), tally)
        yield Lanes(delivery, count=_LANES, batch_size=batch_size)


def _close(summary: Summary, failure: str, *, as_json: bool) -> None:
    """Print the counts, and why not every event was accepted."""
    if as_json:
        print_json({**msgspec.structs.asdict(summary), "failure": failure or None})
    else:
        typer.echo(summary.line())
        for reason in summary.reasons:
            console(err=True).print(f"  rejected {safe(reason)}")
    if failure or not summary.is_complete:
        why = failure or f"{summary.rejected:,} events were rejected and {summary.lost:,} lost"
        raise CommandError(why)
