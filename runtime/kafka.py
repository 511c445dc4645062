"""Kafka clients with every default that bites set on purpose, and the topics they need."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError, for_code

from runtime.settings import Settings
from runtime.topic_file import InvalidTopicFile, declared_topics
from schemas.topics import EVENTS, MAX_RECORD_BYTES, TOPICS, TopicSpec

log = structlog.get_logger(__name__)

_FETCH_BYTES: Final = 4 * MAX_RECORD_BYTES


class TopicsUnsuitable(Exception):  # noqa: N818 - reads as what it is
    """Topics that exist in a form the pipeline cannot work with; the text says which and what to do."""


def connection_options(settings: Settings) -> dict[str, Any]:
    """What every aiokafka client needs to reach the cluster."""
    options: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap_servers,
        "security_protocol": settings.kafka_security_protocol,
    }
    if settings.kafka_security_protocol.endswith("SSL"):
        options["ssl_context"] = ssl_context(settings)
    if settings.kafka_sasl_mechanism and settings.kafka_sasl_password:
        options |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism,
            "sasl_plain_username": settings.kafka_sasl_username,
            "sasl_plain_password": settings.kafka_sasl_password.get_secret_value(),
        }
    return options


def ssl_context(settings: Settings) -> ssl.SSLContext:
    """The TLS context: the machine's authorities, or those of KAFKA_SSL_CAFILE, and a client certificate if set."""
    context = ssl.create_default_context(cafile=settings.kafka_ssl_cafile)
    if settings.kafka_ssl_certfile:
        context.load_cert_chain(settings.kafka_ssl_certfile, settings.kafka_ssl_keyfile)
    return context


def make_producer(settings: Settings, client_id: str, **options: Any) -> AIOKafkaProducer:
    """A producer that waits for all in-sync replicas and, where the broker can, never writes a retry twice."""
    defaults: dict[str, Any] = {
        "acks": "all",
        "enable_idempotence": settings.kafka_idempotence,
        "max_request_size": MAX_RECORD_BYTES,
        "max_batch_size": 512 * 1024,
        "linger_ms": 1,
        "request_timeout_ms": 10_000,
        "retry_backoff_ms": 100,
    }
    return AIOKafkaProducer(client_id=client_id, **connection_options(settings), **(defaults | options))


def make_consumer(settings: Settings, *topics: str, group_id: str | None, **options: Any) -> AIOKafkaConsumer:
    """A consumer that starts at the beginning, reads only what is committed and commits only when told to."""
    defaults: dict[str, Any] = {
        "enable_auto_commit": False,
        "auto_offset_reset": "earliest",
        "isolation_level": "read_committed",
        "session_timeout_ms": settings.kafka_session_timeout_ms,
        "heartbeat_interval_ms": settings.kafka_session_timeout_ms // 4,
        "max_partition_fetch_bytes": _FETCH_BYTES,
        "metadata_max_age_ms": 30_000,
        # aiokafka leaves a partition out of the next fetch while its records are still with us, and the next fetch
        # waits this long for the others: the default of 500 ms would be the latency of a quiet topic.
        "fetch_max_wait_ms": 100,
    }
    return AIOKafkaConsumer(*topics, group_id=group_id, **connection_options(settings), **(defaults | options))


@asynccontextmanager
async def reader(settings: Settings, *topics: str, **options: Any) -> AsyncIterator[AIOKafkaConsumer]:
    """A started consumer that belongs to no group, stopped at the end of the block."""
    consumer = make_consumer(settings, *topics, group_id=None, **options)
    try:
        await consumer.start()
        await asyncio.sleep(0)  # stopped before its own task has begun, aiokafka raises CancelledError
        yield consumer
    finally:
        await consumer.stop()


@asynccontextmanager
async def admin_client(settings: Settings, **options: Any) -> AsyncIterator[AIOKafkaAdminClient]:
    """A started admin client, closed at the end of the block."""
    client = AIOKafkaAdminClient(**connection_options(settings), **options)
    try:
        await client.start()
        yield client
    finally:
        await client.close()


async def ensure_topics(settings: Settings) -> int:
    """Make the topics that are missing; gives the number of partitions of `ops.events`.

    Raises:
        TopicsUnsuitable: where topics that must be co-partitioned with `ops.events` are not, or what must be kept for
            ever is not.
    """
    try:
        declared = declared_topics(settings)
    except InvalidTopicFile as error:
        raise TopicsUnsuitable(str(error)) from error
    async with admin_client(settings) as admin:
        present = {t["topic"]: len(t["partitions"]) for t in await _describe(admin)}
        partitions = present.get(EVENTS, declared.partitions)
        await create_topics(
            admin, [t for t in declared.topics if t.name not in present], partitions, declared.replication
        )
        _check_partitions(present, partitions)
        _check_kept(await topic_configs(admin, [t.name for t in TOPICS if t.name in present]))
        return partitions


async def topic_configs(admin: AIOKafkaAdminClient, names: list[str]) -> dict[str, dict[str, str]]:
    """The settings of each topic, by name; those that the broker does not tell are left out."""
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    found: dict[str, dict[str, str]] = {}
    for answer in await admin.describe_configs(resources) if resources else []:
        for _, _, _, name, entries in answer.resources:
            found[name] = {entry[0]: entry[1] for entry in entries}
    return found


async def _describe(admin: AIOKafkaAdminClient) -> list[dict[str, Any]]:
    names = set(await admin.list_topics())
    wanted = [topic.name for topic in TOPICS if topic.name in names]
    described: list[dict[str, Any]] = await admin.describe_topics(wanted) if wanted else []
    return described


async def create_topics(
    admin: AIOKafkaAdminClient, missing: list[TopicSpec], partitions: int, replication: int
) -> None:
    """Make topics; one that somebody else makes meanwhile is theirs."""
    if not missing:
        return
    new = [NewTopic(topic.name, partitions, replication, topic_configs=topic.config) for topic in missing]
    answer = await admin.create_topics(new)
    for name, code, *_ in answer.topic_errors:
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:
            raise error(f"cannot create topic {name}")
        log.info("topic_created", topic=name, partitions=partitions)


def _check_partitions(present: dict[str, int], partitions: int) -> None:
    wrong = [
        f"{topic.name} has {present[topic.name]}"
        for topic in TOPICS
        if topic.co_partitioned and present.get(topic.name, partitions) != partitions
    ]
    if wrong:
        raise TopicsUnsuitable(
            f"{EVENTS} has {partitions} partitions, but {', '.join(wrong)}: a service's records must lie in the "
            f"same partition of each; give them {partitions} partitions, or, where {EVENTS} had another number before, "
            "see docs/state.md"
        )


def _check_kept(configs: Mapping[str, Mapping[str, str]]) -> None:
    """Topics that hold the newest of each key for ever must not be cleaned by age."""
    for topic in TOPICS:
        policy = configs.get(topic.name, {}).get("cleanup.policy")
        if topic.config["cleanup.policy"] == "compact" and policy not in (None, "compact"):
            raise TopicsUnsuitable(
                f"{topic.name} has cleanup.policy {policy}, which deletes what must be kept; set it: `kafka-configs.sh"
                f" --alter --entity-type topics --entity-name {topic.name} --add-config cleanup.policy=compact`"
            )
