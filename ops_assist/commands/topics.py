"""`ops-assist topics`."""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
import typer

from ops_assist.errors import CommandError
from ops_assist.kafka_access import admin
from ops_assist.options import BootstrapServers
from ops_assist.output import print_json, print_table
from ops_assist.running import kafka_settings
from runtime.kafka import topic_configs
from runtime.settings import Settings, load_settings
from schemas.topics import EVENTS, TOPICS, TopicSpec

app = typer.Typer(add_completion=False)


class TopicState(msgspec.Struct, frozen=True):
    """A declared topic as it is: `differences` says, setting by setting, what is not as declared."""

    name: str
    partitions: int | None
    replicas: int | None
    differences: list[str]

    @property
    def verdict(self) -> str:
        """In a word or a few."""
        if self.partitions is None:
            return "missing"
        return "; ".join(self.differences) or "ok"


@app.command()
def topics(
    *,
    bootstrap_servers: BootstrapServers = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare the topics that are there with those that the pipeline declares.

    Fails when one is missing, has another number of partitions than ops.events, or deletes what must be kept.
    """
    states = asyncio.run(_states(kafka_settings(load_settings(), bootstrap_servers)))
    if as_json:
        print_json([{**msgspec.structs.asdict(state), "verdict": state.verdict} for state in states])
    else:
        rows = [(state.name, state.partitions, state.replicas, state.verdict) for state in states]
        print_table(("topic", "#partitions", "#replicas", "as declared"), rows)
    unfit = [state.name for state in states if state.partitions is None or _misfits(state)]
    if unfit:
        raise CommandError(f"not fit for the pipeline: {', '.join(unfit)}")


def _misfits(state: TopicState) -> bool:
    """Whether services refuse to start with it."""
    return any(
        difference.startswith("partitions ") or difference.endswith(", declared compact")
        for difference in state.differences
    )


async def _states(settings: Settings) -> list[TopicState]:
    async with admin(settings) as client:
        present = set(await client.list_topics())
        names = [topic.name for topic in TOPICS if topic.name in present]
        described = {item["topic"]: item for item in await client.describe_topics(names)} if names else {}
        configs = await topic_configs(client, names)
    wanted = len(described[EVENTS]["partitions"]) if EVENTS in described else None
    return [_state(topic, described.get(topic.name), configs.get(topic.name, {}), wanted) for topic in TOPICS]


def _state(
    topic: TopicSpec, described: Mapping[str, Any] | None, config: Mapping[str, str], wanted: int | None
) -> TopicState:
    if described is None:
        return TopicState(topic.name, None, None, [])
    partitions = described["partitions"]
    differences = [
        f"{name} is {config[name]}, declared {value}"
        for name, value in topic.config.items()
        if name in config and config[name] != value
    ]
    if topic.co_partitioned and wanted is not None and len(partitions) != wanted:
        differences.insert(0, f"partitions must be {wanted}, as of {EVENTS}")
    return TopicState(topic.name, len(partitions), len(partitions[0]["replicas"]), differences)
