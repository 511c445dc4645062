"""The topics of a cluster: looked at, made, and their settings changed."""

from collections.abc import Sequence

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import for_code

from ops_assist.kafka_access import admin
from ops_assist.topic_plan import Found, Step
from runtime.kafka import create_topics, topic_configs
from runtime.settings import Settings
from runtime.topic_file import Declaration
from schemas.topics import EVENTS

_SET_ON_THE_TOPIC = 1
"""DYNAMIC_TOPIC_CONFIG of Kafka's DescribeConfigs (KIP-226)."""


async def look(settings: Settings, declaration: Declaration) -> tuple[dict[str, Found], int]:
    """The topics of the pipeline, and others that are named like them; and how many brokers there are."""
    declared = {topic.name for topic in declaration.topics}
    async with admin(settings) as client:
        names = [name for name in await client.list_topics() if name in declared or name.startswith("ops.")]
        described = await client.describe_topics(names) if names else []
        configs = await topic_configs(client, names)
        brokers = len((await client.describe_cluster())["brokers"])
    return {
        item["topic"]: Found(
            len(item["partitions"]),
            min((len(partition["replicas"]) for partition in item["partitions"]), default=0),
            configs.get(item["topic"], {}),
        )
        for item in described
    }, brokers


async def make(settings: Settings, declaration: Declaration, steps: Sequence[Step]) -> None:
    """Carry out steps that create or alter."""
    new = {step.topic for step in steps if step.kind == "create"}
    specs = [topic for topic in declaration.topics if topic.name in new]
    async with admin(settings) as client:
        there = await client.describe_topics([EVENTS]) if EVENTS in await client.list_topics() else []
        partitions = len(there[0]["partitions"]) if there else declaration.partitions
        await create_topics(client, specs, partitions, declaration.replication)
        for step in steps:
            if step.kind == "alter":
                await _alter(client, step)


async def _alter(client: AIOKafkaAdminClient, step: Step) -> None:
    """Change some settings; AlterConfigs forgets those that it is not given, so the others go along."""
    topic = ConfigResource(ConfigResourceType.TOPIC, step.topic)
    kept: dict[str, str] = {}
    for answer in await client.describe_configs([topic]):
        for *_, entries in answer.resources:
            # The first version tells only whether a setting is the default.
            kept |= {e[0]: e[1] for e in entries if (e[3] == _SET_ON_THE_TOPIC if answer.API_VERSION else not e[3])}
    changed = ConfigResource(ConfigResourceType.TOPIC, step.topic, kept | step.changes)
    for answer in await client.alter_configs([changed]):
        for code, message, *_ in answer.resources:
            if code:
                raise for_code(code)(f"cannot change {step.topic}: {message or ''}")
