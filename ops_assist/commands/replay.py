"""`ops-assist replay`."""

import asyncio
from typing import Annotated, Any, Final

import typer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import for_code

from ops_assist.errors import CommandError
from ops_assist.kafka_access import admin, consumer, partitions_of, producer
from ops_assist.options import BootstrapServers
from ops_assist.output import print_json, safe
from ops_assist.progress import progress_of
from ops_assist.replaying.copy import Copy, Notes, Position
from ops_assist.replaying.merged import merged
from ops_assist.running import kafka_settings
from ops_assist.sending.pace import Pace, parse_speed
from runtime.kafka import topic_configs
from runtime.settings import Settings, load_settings
from schemas.topics import MAX_RECORD_BYTES, TOPICS
from stream_processor.backtest.topic_range import Bound, InvalidBound, find_ranges, parse_bound

_LIVE: Final = frozenset(topic.name for topic in TOPICS)
_MADE_WITH: Final = {"message.timestamp.type": "CreateTime", "max.message.bytes": str(MAX_RECORD_BYTES)}

app = typer.Typer(add_completion=False)


@app.command()
def replay(
    *,
    topic: Annotated[str, typer.Option(help="The topic to copy from, as ops.events.")],
    since: Annotated[
        str, typer.Option("--from", help="Where to begin: a time, an offset, or offsets as 0:1500,1:20.")
    ] = "",
    until: Annotated[str, typer.Option("--to", help="Up to where, not included; default: what is there now.")] = "",
    service: Annotated[str, typer.Option(help="Only events of this service.")] = "",
    to_topic: Annotated[str, typer.Option(help="The topic to copy to; made where it is missing.")] = "",
    to_bootstrap_servers: Annotated[str, typer.Option(help="Another cluster; the topic's name stays by default.")] = "",
    speed: Annotated[
        str, typer.Option(metavar="N|max", help="N times as fast as it was recorded, or as fast as it goes.")
    ] = "max",
    into_live: Annotated[
        bool, typer.Option("--into-live", help="Really copy into a topic that the pipeline of that cluster reads.")
    ] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Begin anew, not where the last run was broken off.")
    ] = False,
    bootstrap_servers: BootstrapServers = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the closing counts as JSON.")] = False,
) -> None:
    """Copy a range of a topic into another topic or cluster, with keys, headers and times.

    Broken off, the same command goes on where it was; what was under way then is written again. A topic of the pipeline
    is written to in another cluster, or with --into-live.
    """
    settings = load_settings()
    source = kafka_settings(settings, bootstrap_servers)
    target = (
        source.model_copy(update={"kafka_bootstrap_servers": to_bootstrap_servers}) if to_bootstrap_servers else source
    )
    name = to_topic or (topic if to_bootstrap_servers else "")
    if not name:
        raise typer.BadParameter("--to-topic or --to-bootstrap-servers must say where to")
    task = (source.kafka_bootstrap_servers, topic, since, until, service, target.kafka_bootstrap_servers, name)
    notes = Notes(settings.state_dir, task)
    if restart:
        notes.forget()
    work = _Work(source, target, topic, name, notes, service=service, pace=_pace(speed), into_live=into_live)
    position = asyncio.run(work.run(_bound(since, "--from"), _bound(until, "--to")))
    if as_json:
        print_json({"topic": topic, "to_topic": name, "copied": position.copied, "ranges": position.ranges})
    else:
        typer.echo(f"{position.copied:,} records of {safe(topic)} copied to {safe(name)}")


class _Work:
    """One call of the command."""

    def __init__(
        self,
        source: Settings,
        target: Settings,
        topic: str,
        name: str,
        notes: Notes,
        *,
        service: str,
        pace: Pace,
        into_live: bool,
    ) -> None:
        self._source, self._target, self._topic, self._name = source, target, topic, name
        self._notes, self._service, self._pace, self._into_live = notes, service, pace, into_live

    async def run(self, since: Bound | None, until: Bound | None) -> Position:
        async with admin(self._source) as client:
            numbers = [place.partition for place in await partitions_of(client, self._topic)]
            cluster = await _cluster(client)
        async with admin(self._target) as client:
            is_same = await _cluster(client) == cluster
            self._check(is_same=is_same)
            places = await self._target_partitions(client, len(numbers))
        async with consumer(self._source) as reader, producer(self._target) as writer:
            position = self._notes.read() or Position(await find_ranges(reader, self._topic, numbers, since, until))
            left = position.left()
            copy = Copy(writer, self._name, places, keep_numbers=places == len(numbers))
            with progress_of(f"replay {self._topic}", sum(one.size for one in left)) as advance:
                records = merged(reader, self._topic, left)
                await copy.run(records, position, self._notes, self._pace, service=self._service, advance=advance)
        self._notes.forget()
        return position

    def _check(self, *, is_same: bool) -> None:
        if is_same and self._name in {*_LIVE, self._topic} and not self._into_live:
            raise CommandError(
                f"{self._name} is live in this cluster: events would count once more; give another --to-topic, or "
                "--into-live if that is what you want"
            )

    async def _target_partitions(self, client: AIOKafkaAdminClient, wanted: int) -> int:
        """The partitions of the target, which is made where it is missing."""
        if self._name not in await client.list_topics():
            new = NewTopic(self._name, wanted, self._target.topic_replication_factor, topic_configs=_MADE_WITH)
            answer = await client.create_topics([new])
            for _, code, *_ in answer.topic_errors:
                if code:
                    raise for_code(code)(f"cannot make topic {self._name}")
            return wanted
        config = (await topic_configs(client, [self._name])).get(self._name, {})
        if config.get("message.timestamp.type") == "LogAppendTime":
            typer.echo(f"{safe(self._name)} stamps records itself: their times are those of the copy", err=True)
        return len(await partitions_of(client, self._name))


async def _cluster(client: AIOKafkaAdminClient) -> Any:
    return (await client.describe_cluster()).get("cluster_id")


def _pace(text: str) -> Pace:
    try:
        return Pace(parse_speed(text))
    except ValueError as error:
        raise typer.BadParameter("--speed takes a positive number or max") from error


def _bound(text: str, option: str) -> Bound | None:
    try:
        return parse_bound(text) if text else None
    except InvalidBound as error:
        raise typer.BadParameter(f"{option}: {error}") from error
