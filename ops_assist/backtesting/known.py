"""What is known of the past: labels of a file, or what people have said."""

import asyncio
from pathlib import Path
from typing import Final

import typer

from ops_assist.errors import CommandError
from ops_assist.kafka_access import admin, consumer, partitions_of
from runtime.settings import Settings
from schemas.topics import INCIDENTS, MISSED_INCIDENTS
from stream_processor.backtest.labels import InvalidLabels, Labels, labels_of, read_labels
from stream_processor.backtest.live import read_incidents, read_missed
from stream_processor.durations import parse_duration

VERDICTS: Final = "verdicts"


def known_labels(asked: str, lasting: str, settings: Settings) -> Labels | None:
    """The labels that `--labels` names; None where it is empty.

    Raises:
        CommandError: they cannot be read.
    """
    duration = parse_duration(lasting)
    if duration is None:
        raise typer.BadParameter("--lasting takes a duration, as 90s, 5m or 1h30m")
    if not asked:
        return None
    if asked == VERDICTS:
        return asyncio.run(_verdicts(settings, duration))
    try:
        return read_labels(Path(asked), duration)
    except InvalidLabels as error:
        raise CommandError(str(error)) from error


async def _verdicts(settings: Settings, lasting: int) -> Labels:
    async with admin(settings) as client:
        of_incidents, of_missed = [
            [place.partition for place in await partitions_of(client, topic)] for topic in (INCIDENTS, MISSED_INCIDENTS)
        ]
    async with consumer(settings) as reader:
        found = labels_of(
            await read_incidents(reader, of_incidents), await read_missed(reader, of_missed), before=lasting
        )
    if not found.faults and not found.noise:
        raise CommandError(
            "nobody has given a verdict yet: `ops-assist incidents set ID closed --verdict ...`, or `incidents missed`"
        )
    return found
