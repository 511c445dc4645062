"""Three Apache Kafka nodes that replicate each other, to kill and stop one by one or all at once."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

from deploy.brokers.apache_kafka import ApacheKafka, new_cluster_id
from deploy.brokers.kafka_config import DATA_DIR, server_properties
from deploy.brokers.ports import LOOPBACK, free_port

NODES: Final = 3


class ClusterNode(ApacheKafka):
    """One node of a cluster: broker and controller."""

    def __init__(self, state_dir: Path, number: int, voters: list[int], cluster_id: str) -> None:
        super().__init__(state_dir / f"node-{number}")
        self._number = number
        self._voters = voters
        self._cluster_id = cluster_id

    def _make_ready(self) -> None:
        (self.home / "console.log").write_bytes(b"")
        (self.home / "server.properties").write_text(self._properties())
        if not (self.home / DATA_DIR / "meta.properties").exists():
            self._format(self._cluster_id)

    def _properties(self) -> str:
        alone = server_properties(self.port, self._voters[self._number - 1])
        voters = ",".join(f"{n}@{LOOPBACK}:{port}" for n, port in enumerate(self._voters, start=1))
        changed = {
            "node.id": str(self._number),
            "controller.quorum.voters": voters,
            "default.replication.factor": str(NODES),
            "min.insync.replicas": "2",
            "offsets.topic.replication.factor": str(NODES),
            "transaction.state.log.replication.factor": str(NODES),
            "transaction.state.log.min.isr": "2",
        }
        kept = [line for line in alone.splitlines() if line.partition("=")[0] not in changed]
        return "\n".join([*kept, *(f"{name}={value}" for name, value in changed.items()), ""])


class KafkaCluster:
    """The nodes as one broker: what `tests.support.pipeline` needs of one."""

    name: Final = f"{NODES} nodes of {ApacheKafka.name}"
    limitations: Final[tuple[str, ...]] = ()
    supports_idempotence: Final = True

    def __init__(self, state_dir: Path) -> None:
        voters = [free_port() for _ in range(NODES)]
        cluster_id = new_cluster_id()
        self.nodes = [ClusterNode(state_dir, number, voters, cluster_id) for number in range(1, NODES + 1)]

    @property
    def bootstrap_servers(self) -> str:
        """Where clients find it."""
        return ",".join(node.bootstrap_servers for node in self.nodes)

    @property
    def pid(self) -> int | None:
        """The first node's process while it runs."""
        return self.nodes[0].pid

    def is_running(self) -> bool:
        """Whether all nodes run."""
        return all(node.is_running() for node in self.nodes)

    def start(self, timeout: float = 60) -> None:
        """Start the nodes that do not run; returns when all serve (one alone does not: it has no quorum)."""
        _at_once(partial(node.start, timeout) for node in self.nodes)

    def stop(self) -> None:
        """End them cleanly."""
        _at_once(node.stop for node in self.nodes)

    def kill(self) -> None:
        """End them with SIGKILL."""
        _at_once(node.kill for node in self.nodes)


def _at_once(actions: Iterable[Callable[[], None]]) -> None:
    with ThreadPoolExecutor(NODES) as threads:
        for done in [threads.submit(action) for action in actions]:
            done.result()
