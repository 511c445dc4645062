"""Where the events of a backtest come from, and one pass over them."""

import asyncio
from pathlib import Path

import msgspec
import typer

from ops_assist.errors import CommandError
from ops_assist.kafka_access import admin, consumer, failures, partitions_of
from ops_assist.progress import progress_of
from runtime.settings import Settings
from schemas.incident import Incident
from stream_processor.backtest.files import UnreadableFile, check_files
from stream_processor.backtest.live import inputs_by_partition, read_incidents
from stream_processor.backtest.passes import Files, Pass, TopicRange, run_pass
from stream_processor.backtest.report import Source
from stream_processor.backtest.topic_range import Bound, InvalidBound, find_ranges, parse_bound
from stream_processor.rules import RuleSet


class Asked(msgspec.Struct, frozen=True):
    """What is to be read: files, or a topic between two bounds as people write them."""

    files: list[Path]
    topic: str = ""
    since: str = ""
    until: str = ""
    needs_published: bool = False


class Log(msgspec.Struct, frozen=True):
    """What is read, how large it is (bytes or offsets), and the incidents that its pipeline has published."""

    source: Files | TopicRange
    size: int
    published: list[Incident] = []


def open_log(settings: Settings, asked: Asked) -> Log:
    """Look whether it can be read, and how much it is.

    Raises:
        CommandError: it cannot.
    """
    if bool(asked.files) == bool(asked.topic):
        raise typer.BadParameter("give files of events, or --topic")
    since, until = _bound(asked.since, "--from"), _bound(asked.until, "--to")
    if asked.topic:
        return asyncio.run(_topic(settings, asked, since, until))
    if since or until or asked.needs_published:
        raise typer.BadParameter("--from, --to, --with-status-changes and --certificate go with --topic")
    try:
        return Log(Files(asked.files), check_files(asked.files))
    except UnreadableFile as error:
        raise CommandError(str(error)) from error


def run(log: Log, rules: list[RuleSet], jobs: int) -> Pass:
    """One pass, with its progress on stderr.

    Raises:
        CommandError: something cannot be read.
    """
    settings = log.source.settings if isinstance(log.source, TopicRange) else None
    with progress_of("backtest", log.size) as advance, failures(settings):
        try:
            return run_pass(log.source, rules, jobs, advance)
        except UnreadableFile as error:
            raise CommandError(str(error)) from error


def source_of(log: Log, found: Pass) -> Source:
    """What a report says of it."""
    is_topic = isinstance(log.source, TopicRange)
    names = [log.source.topic] if isinstance(log.source, TopicRange) else [path.name for path in log.source.paths]
    ranges = log.source.ranges if isinstance(log.source, TopicRange) else []
    told = [{"partition": one.partition, "start": one.start, "end": one.end} for one in ranges] if is_topic else []
    return Source(names, found.events, found.first, found.newest, told, found.unreadable)


def _bound(text: str, option: str) -> Bound | None:
    try:
        return parse_bound(text) if text else None
    except InvalidBound as error:
        raise typer.BadParameter(f"{option}: {error}") from error


async def _topic(settings: Settings, asked: Asked, since: Bound | None, until: Bound | None) -> Log:
    async with admin(settings) as client:
        numbers = [place.partition for place in await partitions_of(client, asked.topic)]
    async with consumer(settings) as reader:
        ranges = await find_ranges(reader, asked.topic, numbers, since, until)
        published = await read_incidents(reader, numbers) if asked.needs_published else []
    source = TopicRange(settings, asked.topic, len(numbers), ranges, inputs_by_partition(published))
    return Log(source, sum(one.size for one in ranges), published)
