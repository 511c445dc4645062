"""The configuration of a one-node Apache Kafka in KRaft mode."""

from typing import Final

from deploy.brokers.ports import LOOPBACK

DATA_DIR: Final = "data"
_NODE_ID: Final = 1


def server_properties(port: int, controller_port: int) -> str:
    """The text of server.properties; paths in it are relative to the directory that Kafka is started in."""
    lines = {
        "process.roles": "broker,controller",
        "node.id": str(_NODE_ID),
        # A static voter list: its port may change from start to start, the data does not hold it.
        "controller.quorum.voters": f"{_NODE_ID}@{LOOPBACK}:{controller_port}",
        "listeners": f"PLAINTEXT://{LOOPBACK}:{port},CONTROLLER://{LOOPBACK}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{port}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "log.dirs": DATA_DIR,
        "auto.create.topics.enable": "false",
        # One broker: nothing can be replicated.
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "5",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "2",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "share.coordinator.state.topic.num.partitions": "1",
        # A lone developer does not want to wait for members that will not come.
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": "1000",
        # After a crash the controller, which is this same node, takes the broker back only when its old session ends.
        "broker.session.timeout.ms": "3000",
        "broker.heartbeat.interval.ms": "300",
        # A segment pre-allocates its index file (10 MB by default) for each partition.
        "log.index.size.max.bytes": str(1024 * 1024),
        "log.segment.bytes": str(128 * 1024 * 1024),
        "log.retention.hours": "168",
        "log.cleaner.dedupe.buffer.size": str(32 * 1024 * 1024),
        "log.cleaner.backoff.ms": "5000",
        "num.network.threads": "2",
        "num.io.threads": "4",
        "background.threads": "2",
        "num.recovery.threads.per.data.dir": "2",
        "socket.request.max.bytes": str(32 * 1024 * 1024),
    }
    return "".join(f"{name}={value}\n" for name, value in lines.items())
