"""A consumer-group member in a process of its own, to be killed.

`python -m tests.support.group_member BROKER TOPIC GROUP MS`, where MS is its session timeout in milliseconds. It prints
one line for every assignment it gets: the partition numbers, with a space between them.
"""

import asyncio
import sys
from typing import Final

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition

REBALANCE_TIMEOUT_MS: Final = 3_000


class _Printer(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Nothing to give back."""

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        print(*sorted(place.partition for place in assigned), flush=True)  # noqa: T201 - its report to the test


async def main(bootstrap_servers: str, topic: str, group_id: str, session_timeout_ms: int) -> None:
    """Stay in the group until killed."""
    client = AIOKafkaConsumer(
        bootstrap_servers=bootstrap_servers,
        group_id=group_id,
        session_timeout_ms=session_timeout_ms,
        heartbeat_interval_ms=session_timeout_ms // 4,
        rebalance_timeout_ms=REBALANCE_TIMEOUT_MS,
        enable_auto_commit=False,
    )
    client.subscribe([topic], listener=_Printer())
    await client.start()
    try:
        async for _ in client:
            pass
    finally:
        await client.stop()


if __name__ == "__main__":
    broker, topic, group, milliseconds = sys.argv[1:]
    asyncio.run(main(broker, topic, group, int(milliseconds)))
