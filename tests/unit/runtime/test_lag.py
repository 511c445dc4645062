"""How far consumer groups are behind, from what a cluster says."""

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

from aiokafka import TopicPartition

from runtime.lag.offsets import Lag, committed_offsets, lags

OFFSETS = {
    "ops-b": {("ops.events", 0): 7, ("ops.events", 1): -1},
    "ops-a": {("ops.events", 1): 4, ("ops.incidents", 0): 9},
}
ENDS = {("ops.events", 0): 10, ("ops.events", 1): 4, ("ops.incidents", 0): 3}


class Cluster:
    """Answers as an admin client and as a consumer."""

    async def list_consumer_groups(self) -> list[tuple[str, str]]:
        """Groups with their protocols."""
        return [(group, "consumer") for group in OFFSETS]

    async def list_topics(self) -> list[str]:
        """Kafka's own topics among them."""
        return ["ops.events", "ops.incidents", "__consumer_offsets"]

    async def describe_topics(self, topics: list[str]) -> list[dict[str, Any]]:
        """Of Kafka's own nobody asks."""
        assert "__consumer_offsets" not in topics
        return [
            {"topic": topic, "partitions": [{"partition": number} for name, number in ENDS if name == topic]}
            for topic in topics
        ]

    async def list_consumer_group_offsets(
        self, group: str, partitions: Iterable[TopicPartition]
    ) -> dict[TopicPartition, SimpleNamespace]:
        """-1 where nothing was committed."""
        return {each: SimpleNamespace(offset=OFFSETS[group].get(tuple(each), -1)) for each in partitions}

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        """The ends, of what was asked for."""
        return {each: ENDS[tuple(each)] for each in partitions}


async def test_lag_is_the_end_less_what_was_committed() -> None:
    """In order of group, topic, partition; an end told too low is no negative lag, what was never read is no row."""
    cluster: Any = Cluster()

    found = await lags(await committed_offsets(cluster), cluster)

    assert found == [
        Lag("ops-a", "ops.events", 1, 4, 4, 0),
        Lag("ops-a", "ops.incidents", 0, 9, 3, 0),
        Lag("ops-b", "ops.events", 0, 7, 10, 3),
    ]


async def test_one_group_can_be_asked_about() -> None:
    """Then no other is."""
    cluster: Any = Cluster()

    assert set(await committed_offsets(cluster, "ops-b")) == {"ops-b"}


async def test_no_group_is_no_lag() -> None:
    """Nothing is asked of the partitions then."""
    assert await lags({}, object()) == []
