"""`ops-assist topics`."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer

from ops_assist.errors import CommandError
from ops_assist.kafka_access import admin
from ops_assist.options import BootstrapServers
from ops_assist.output import print_json, print_table
from ops_assist.running import kafka_settings
from ops_assist.topic_access import look, make
from ops_assist.topic_plan import Step, plan
from runtime.kafka import topic_configs
from runtime.settings import Settings, load_settings
from runtime.topic_file import Declaration, InvalidTopicFile, as_yaml, declared_topics
from schemas.topics import EVENTS, TopicSpec

DRIFT: Final = 2
"""Exit code of `plan --exit-code` where something differs."""

File = Annotated[Path | None, typer.Option("--file", help="The declaration; default: TOPICS_FILE, else our own.")]

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


@app.callback(invoke_without_command=True)
def topics(
    context: typer.Context,
    *,
    bootstrap_servers: BootstrapServers = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare the topics that are there with those that the pipeline declares.

    Fails when one is missing, has another number of partitions than ops.events, or deletes what must be kept.
    """
    if context.invoked_subcommand:
        return
    states = asyncio.run(_states(kafka_settings(load_settings(), bootstrap_servers)))
    if as_json:
        print_json([{**msgspec.structs.asdict(state), "verdict": state.verdict} for state in states])
    else:
        rows = [(state.name, state.partitions, state.replicas, state.verdict) for state in states]
        print_table(("topic", "#partitions", "#replicas", "as declared"), rows)
    unfit = [state.name for state in states if state.partitions is None or _misfits(state)]
    if unfit:
        raise CommandError(f"not fit for the pipeline: {', '.join(unfit)}")


@app.command("plan")
def show_plan(
    *,
    file: File = None,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 2 where something differs.")] = False,
    bootstrap_servers: BootstrapServers = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what would make the topics as they are declared; changes nothing."""
    settings, declaration = _asked(bootstrap_servers, file)
    steps = asyncio.run(_plan(settings, declaration))
    _print_steps(steps, as_json=as_json)
    if exit_code and steps:
        raise typer.Exit(DRIFT)


@app.command("apply")
def apply(
    *,
    file: File = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    bootstrap_servers: BootstrapServers = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make missing topics and change settings as declared; deletes nothing, moves nothing, keeps partitions.

    Fails where something that is declared is refused; the rest is done all the same.
    """
    settings, declaration = _asked(bootstrap_servers, file)
    steps = asyncio.run(_plan(settings, declaration))
    _print_steps(steps, as_json=as_json)
    work = [step for step in steps if step.kind in ("create", "alter")]
    if work and not yes:
        typer.confirm(f"do {len(work)} of these?", abort=True, err=True)
    asyncio.run(make(settings, declaration, work))
    if not as_json:
        typer.echo(f"{len(work)} done")
    if refused := [step.topic for step in steps if step.kind == "refused"]:
        raise CommandError(f"refused: {', '.join(dict.fromkeys(refused))}; the plan says what to do instead")


@app.command("declared")
def declared(*, file: File = None) -> None:
    """Print the declaration as a file for TOPICS_FILE."""
    _, declaration = _asked("", file)
    typer.echo(as_yaml(declaration), nl=False)


def _asked(bootstrap_servers: str, file: Path | None) -> tuple[Settings, Declaration]:
    settings = kafka_settings(load_settings(**({"topics_file": file} if file else {})), bootstrap_servers)
    return settings, _declaration(settings)


def _declaration(settings: Settings) -> Declaration:
    try:
        return declared_topics(settings)
    except InvalidTopicFile as error:
        raise CommandError(str(error).replace("\n", "; ")) from error


async def _plan(settings: Settings, declaration: Declaration) -> list[Step]:
    found, brokers = await look(settings, declaration)
    return plan(declaration, found, brokers)


def _print_steps(steps: list[Step], *, as_json: bool) -> None:
    if as_json:
        print_json(steps)
    elif steps:
        print_table(("topic", "step", "what"), ((step.topic, step.kind, step.text) for step in steps))
    else:
        typer.echo("the topics are as declared")


def _misfits(state: TopicState) -> bool:
    """Whether services refuse to start with it."""
    return any(
        difference.startswith("partitions ") or difference.endswith(", declared compact")
        for difference in state.differences
    )


async def _states(settings: Settings) -> list[TopicState]:
    declared = _declaration(settings).topics
    async with admin(settings) as client:
        present = set(await client.list_topics())
        names = [topic.name for topic in declared if topic.name in present]
        described = {item["topic"]: item for item in await client.describe_topics(names)} if names else {}
        configs = await topic_configs(client, names)
    wanted = len(described[EVENTS]["partitions"]) if EVENTS in described else None
    return [_state(topic, described.get(topic.name), configs.get(topic.name, {}), wanted) for topic in declared]


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
