"""The pipeline's processes for tests: each can be killed and started again on its own."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import asyncpg
import httpx

from deploy.brokers.base import Broker
from tests.support.ports import free_port
from tests.support.waiting import wait_until

FRONT_DOOR: Final = "ops_assist.front_door"
PROCESSOR: Final = "stream_processor"
MATERIALIZER: Final = "query_api.materializer"
ANALYZER: Final = "analyzer_worker"
DASHBOARD: Final = "query_api.dashboard"
SERVICES: Final = (FRONT_DOOR, PROCESSOR, MATERIALIZER, ANALYZER)

_PORT_SETTING: Final = {
    FRONT_DOOR: "HTTP_PORT",
    PROCESSOR: "PROCESSOR_PORT",
    MATERIALIZER: "MATERIALIZER_PORT",
    ANALYZER: "ANALYZER_PORT",
    DASHBOARD: "DASHBOARD_PORT",
}
_ROOT: Final = Path(__file__).parents[2]


class Pipeline:
    """Runs services as processes against one broker and one database."""

    def __init__(self, broker: Broker, database_url: str, state_dir: Path, **extra: str) -> None:
        self.ports = {service: free_port() for service in _PORT_SETTING}
        self.environment = {
            **os.environ,
            "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
            "KAFKA_IDEMPOTENCE": str(broker.supports_idempotence).lower(),
            "KAFKA_SESSION_TIMEOUT_MS": "6000",
            "TOPIC_PARTITIONS": "3",
            "DATABASE_URL": database_url,
            "STATE_DIR": str(state_dir),
            "LOG_FORMAT": "json",
            **{setting: str(self.ports[service]) for service, setting in _PORT_SETTING.items()},
            **extra,
        }
        self._logs = state_dir / "logs"
        self._logs.mkdir(parents=True, exist_ok=True)
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.http = httpx.Client(base_url=self.url, timeout=30)

    @property
    def url(self) -> str:
        """Where the HTTP API answers."""
        return f"http://127.0.0.1:{self.ports[FRONT_DOOR]}"

    def front_doors(self) -> list[str]:
        """Where each front door answers, also while it is away."""
        return [f"http://127.0.0.1:{port}" for name, port in self.ports.items() if name.startswith(FRONT_DOOR)]

    def migrate(self) -> None:
        """Bring the database's schema up to date."""
        self._run("query_api.migrate")

    def start(self, *services: str) -> None:
        """Start services, without waiting for them; `stream_processor#2` is another worker of the same service."""
        for service in services:
            module = service.partition("#")[0]
            if service not in self.ports:
                self.ports[service] = free_port()
            with (self._logs / f"{service}.log").open("ab") as log:
                self._running[service] = subprocess.Popen(
                    [sys.executable, "-m", module],
                    env=self.environment | {_PORT_SETTING[module]: str(self.ports[service])},
                    cwd=_ROOT,
                    stdout=log,
                    stderr=log,
                )

    def running(self) -> list[str]:
        """The services that were started and neither killed nor ended."""
        return list(self._running)

    def end(self, service: str) -> None:
        """Ask a service to end, and wait."""
        process = self._running.pop(service)
        process.terminate()
        assert _ended(process), f"{service} did not stop within 10 s of SIGTERM"

    def release(self, service: str) -> subprocess.Popen[bytes]:
        """The process of a service, which is the caller's to end from now on."""
        return self._running.pop(service)

    def signal(self, service: str, number: signal.Signals) -> None:
        """Send a service a signal."""
        self._running[service].send_signal(number)

    def freeze(self, service: str) -> None:
        """Stop a service in its tracks, as a machine that hangs would."""
        self._running[service].send_signal(signal.SIGSTOP)

    def thaw(self, service: str) -> None:
        """Let a frozen service go on, with all that it had under way."""
        self._running[service].send_signal(signal.SIGCONT)

    def revive(self) -> list[tuple[str, int]]:
        """Start again what ended by itself, as a supervisor does; gives what did and its exit code."""
        ended = [
            (service, process.returncode)
            for service, process in list(self._running.items())
            if process.poll() is not None
        ]
        for service, _ in ended:
            self.start(service)
        return ended

    def wait_ready(self, *services: str) -> None:
        """Wait until services say that their dependencies are there."""
        for service in services:
            wait_until(lambda service=service: self._is_ready(service), timeout=60, what=f"{service} ready")  # type: ignore[misc]

    def kill(self, service: str) -> None:
        """End a service as a crash would."""
        process = self._running.pop(service)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        """End everything: politely, and after ten seconds not."""
        for process in self._running.values():
            process.terminate()
        late = [service for service, process in self._running.items() if not _ended(process)]
        self._running.clear()
        self.http.close()
        assert not late, f"did not stop within 10 s of SIGTERM: {late}"

    def command(self, *arguments: str) -> str:
        """Run the command line; gives what it printed."""
        return self._run("ops_assist", *arguments)

    def background_command(self, *arguments: str) -> subprocess.Popen[str]:
        """Run the command line beside the test; its output is for the test to read."""
        return subprocess.Popen(
            [sys.executable, "-m", "ops_assist", *arguments],
            env=self.environment,
            cwd=_ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def incidents(self, **query: Any) -> list[dict[str, Any]]:
        """What GET /api/v1/incidents answers; an empty list while the service is away."""
        try:
            answer = self.http.get("/api/v1/incidents", params={"limit": 1000, **query})
        except httpx.TransportError:
            return []
        found: list[dict[str, Any]] = answer.json() if answer.is_success else []
        return found

    def count(self, query: str, *arguments: Any) -> int:
        """The number that a query on the database gives."""

        async def ask() -> int:
            connection = await asyncpg.connect(self.environment["DATABASE_URL"])
            try:
                return int(await connection.fetchval(query, *arguments))
            finally:
                await connection.close()

        return asyncio.run(ask())

    def log_of(self, service: str) -> str:
        """The log of a service."""
        return (self._logs / f"{service}.log").read_text()

    def _is_ready(self, service: str) -> bool:
        process = self._running[service]
        if process.poll() is not None:
            raise AssertionError(f"{service} ended with {process.returncode}: {self.log_of(service)[-3000:]}")
        try:
            return httpx.get(f"http://127.0.0.1:{self.ports[service]}/readyz", timeout=5).is_success
        except httpx.TransportError:
            return False

    def _run(self, module: str, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            env=self.environment,
            cwd=_ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, f"{module} {arguments}: {done.stdout[-2000:]} {done.stderr[-2000:]}"
        return done.stdout


@contextmanager
def running_pipeline(
    broker: Broker, database_url: str, state_dir: Path, *services: str, **extra: str
) -> Iterator[Pipeline]:
    """A pipeline whose services (all but the dashboard, if none are named) are ready."""
    wanted = services or SERVICES
    pipeline = Pipeline(broker, database_url, state_dir, **extra)
    pipeline.migrate()
    try:
        pipeline.start(*wanted)
        pipeline.wait_ready(*wanted)
        yield pipeline
    finally:
        pipeline.stop()


def _ended(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return False
    return True
