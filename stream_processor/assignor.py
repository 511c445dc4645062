"""Faust's assignor, but never with topics left out.

A leader of the group whose brokers were just away may know some topics or none (`ClusterMetadata`). Faust 0.15.3 logs
"Ignoring missing topic" and assigns the rest: source partitions without their state, or nothing to anybody, and then
nobody asks for another assignment (assignor/partition_assignor.py:179).
"""

from typing import Any

from aiokafka.cluster import ClusterMetadata
from faust.assignor.partition_assignor import PartitionAssignor

from stream_processor.fatal import exit_now


class WholeAssignor(PartitionAssignor):
    """Ends the process rather than assign a part of the topics: after a restart it waits until all are there."""

    @classmethod
    def _get_copartitioned_groups(cls, topics: set[str], cluster: ClusterMetadata, subscriptions: Any) -> Any:
        missing = sorted(topic for topic in topics if not cluster.partitions_for_topic(topic))
        if missing:
            exit_now("asked to assign partitions without knowing all topics", missing=missing)
        return super()._get_copartitioned_groups(topics, cluster, subscriptions)
