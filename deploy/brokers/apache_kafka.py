"""Apache Kafka as one KRaft node on loopback: the reference broker."""

import base64
import shutil
import signal
import subprocess
import tempfile
import uuid
from pathlib import Path
from typing import Final

from deploy.brokers.base import BrokerError
from deploy.brokers.child import wait_until
from deploy.brokers.kafka_config import DATA_DIR, server_properties
from deploy.brokers.kafka_jars import KAFKA_VERSION, Progress, fetch_jars, java_command, say_nothing, why_unavailable
from deploy.brokers.kafka_jvm import (
    KAFKA_MAIN,
    STORAGE_TOOL_MAIN,
    java_arguments,
    publish_archive,
    shared_archive,
)
from deploy.brokers.ports import LOOPBACK, free_port
from deploy.brokers.probe import serves
from deploy.server import Server

_FORMAT_SECONDS: Final = 60
_TRAINING_SECONDS: Final = 60.0


class ApacheKafka(Server):
    """One Apache Kafka whose data stays under `state_dir`/kafka; port 0 takes a free port and keeps it."""

    name = f"Apache Kafka {KAFKA_VERSION}"
    limitations: Final[tuple[str, ...]] = ()
    supports_idempotence: Final = True

    error = BrokerError
    port_setting = "BROKER_PORT"

    def __init__(self, state_dir: Path, port: int = 0) -> None:
        super().__init__(state_dir / "kafka", port)

    @staticmethod
    def available() -> str | None:
        """None if it can be run here, else why not."""
        return why_unavailable()

    @staticmethod
    def install(progress: Progress = say_nothing) -> None:
        """Fetch the jars and prepare a quick start; does nothing the second time.

        Raises:
            BrokerError: it cannot be fetched, or what was fetched is not what was pinned.
        """
        libs = fetch_jars(progress)
        archive = shared_archive(java_command() or "java")
        if not archive.exists():
            progress("preparing a quick start of Apache Kafka (once)")
            _write_archive(libs, archive)

    @property
    def bootstrap_servers(self) -> str:
        """Where clients find it."""
        return f"{LOOPBACK}:{self.port}"

    def _prepare(self) -> None:
        self.install()

    def _spawn(self, *options: str) -> None:
        self._make_ready()
        archive = shared_archive(java_command() or "java")
        quick = [f"-XX:SharedArchiveFile={archive}"] if archive.exists() and not options else []
        self._child.spawn(
            [*self._java(KAFKA_MAIN, *quick, *options), "server.properties"],
            output=self.home / "console.log",
            directory=self.home,
        )

    def _make_ready(self) -> None:
        (self.home / "console.log").write_bytes(b"")
        (self.home / "server.properties").write_text(server_properties(self.port, free_port()))
        data = self.home / DATA_DIR
        if not (data / "meta.properties").exists():
            shutil.rmtree(data, ignore_errors=True)  # an interrupted formatting
            self._format()

    def _format(self, cluster_id: str = "") -> None:
        arguments = ["format", "--config", "server.properties", "--cluster-id", cluster_id or new_cluster_id()]
        done = subprocess.run(  # noqa: S603 - fixed arguments
            [*self._java(STORAGE_TOOL_MAIN), *arguments],
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=_FORMAT_SECONDS,
            check=False,
        )
        if done.returncode:
            raise BrokerError(
                f"cannot format the storage of {self.name}: {(done.stderr or done.stdout).strip()[-300:]}"
            )

    def _java(self, main: str, *options: str) -> list[str]:
        return java_arguments(fetch_jars(), self.home, main, *options)

    def _await_service(self, timeout: float) -> None:
        ended = wait_until(lambda: self._child.exit_code is not None or serves(self.port), timeout)
        if self._child.exit_code is not None:
            raise BrokerError(f"{self.name} ended at once: {self._last_words()}")
        if not ended:
            raise BrokerError(f"{self.name} did not serve within {timeout:g} s; see {self.home / 'kafka.log'}")

    def _last_words(self) -> str:
        words = (self.home / "console.log").read_text(errors="replace").strip().splitlines()
        return f"{words[-1] if words else 'it said nothing'}; see {self.home / 'kafka.log'}"


def new_cluster_id() -> str:
    """A random id in the form that Kafka takes: 16 bytes in URL-safe base64 without padding, not beginning with '-'."""
    text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    return text if not text.startswith("-") else new_cluster_id()


def _write_archive(libs: Path, archive: Path) -> None:
    """Run a broker once in a scratch directory and have Java keep the classes that it loaded."""
    with tempfile.TemporaryDirectory(prefix="classes-", dir=libs.parent) as scratch:
        written = Path(scratch) / "classes.jsa"
        broker = ApacheKafka(Path(scratch))
        broker._launch(f"-XX:ArchiveClassesAtExit={written}")  # noqa: SLF001 - its own class
        try:
            broker._await_service(_TRAINING_SECONDS)  # noqa: SLF001 - its own class
        finally:
            broker._child.end(signal.SIGTERM, _TRAINING_SECONDS)  # noqa: SLF001 - writing the archive takes seconds
        publish_archive(written, archive)
