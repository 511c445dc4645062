"""What would make the topics of a cluster as they are declared: pure."""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from runtime.topic_file import ENOUGH_FOR_TWO, MIN_IN_SYNC, Declaration
from schemas.topics import EVENTS, TopicSpec

_OURS: Final = "ops."

Kind = Literal["create", "alter", "refused", "unknown"]


class Found(msgspec.Struct, frozen=True):
    """A topic as it is."""

    partitions: int
    replicas: int
    config: Mapping[str, str]


class Step(msgspec.Struct, frozen=True):
    """One difference. `changes`: settings to give; `text`: what it is and, where it is refused, what to do instead."""

    kind: Kind
    topic: str
    text: str
    changes: dict[str, str] = {}


def plan(declaration: Declaration, found: Mapping[str, Found], brokers: int) -> list[Step]:
    """Every difference between `found` and the declaration, topic by topic; `brokers`: how many there are."""
    events = found.get(EVENTS)
    partitions = events.partitions if events else declaration.partitions
    steps: list[Step] = []
    for topic in declaration.topics:
        here = found.get(topic.name)
        if here is None:
            steps.append(_create(topic, partitions, declaration.replication, brokers))
        else:
            steps += _differences(topic, here, declaration, partitions)
    declared = {topic.name for topic in declaration.topics}
    steps += [
        Step("unknown", name, "is not declared; it is left as it is")
        for name in sorted(found.keys() - declared)
        if name.startswith(_OURS)
    ]
    return steps


def _create(topic: TopicSpec, partitions: int, replication: int, brokers: int) -> Step:
    if replication > brokers:
        return Step(
            "refused",
            topic.name,
            f"cannot have {replication} replicas on {brokers} broker(s): lower "
            "TOPIC_REPLICATION_FACTOR, or replication in TOPICS_FILE",
        )
    return Step("create", topic.name, f"with {partitions} partitions and {replication} replicas", topic.config)


def _differences(topic: TopicSpec, here: Found, declaration: Declaration, partitions: int) -> list[Step]:
    steps = []
    # An older topic that others follow keeps its number: TOPIC_PARTITIONS is for topics that are made.
    wanted = declaration.partitions if topic.name == EVENTS else partitions
    if topic.co_partitioned and here.partitions != wanted:
        steps.append(Step("refused", topic.name, _partitions_text(topic.name, here.partitions, wanted)))
    if here.replicas != declaration.replication:
        text = (
            f"has {here.replicas} replicas, declared {declaration.replication}: moving data is not done here; use "
            f"kafka-reassign-partitions.sh --execute with a replica list of {declaration.replication} brokers each"
        )
        steps.append(Step("refused", topic.name, text))
    config = topic.config if here.replicas >= ENOUGH_FOR_TWO else topic.config | {MIN_IN_SYNC: "1"}
    changes = {name: value for name, value in config.items() if here.config.get(name, value) != value}
    if changes:
        text = "; ".join(f"{name}: {here.config[name]} -> {value}" for name, value in changes.items())
        steps.append(Step("alter", topic.name, text, changes))
    return steps


def _partitions_text(name: str, there: int, wanted: int) -> str:
    if name == EVENTS:
        return (
            f"has {there} partitions, declared {wanted}: another number would give services other partitions than "
            f"their state; declare {there}, or follow docs/state.md, which moves the state too"
        )
    return (
        f"has {there} partitions, {EVENTS} has {wanted}: a service's records must lie in the same partition of each; "
        "follow docs/state.md"
    )
