"""`python -m ingest_gateway` as a process of its own, for tests."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from tests.support.ports import free_port
from tests.support.waiting import wait_until

EVENT: Final[dict[str, Any]] = {"service": "user-service", "level": "ERROR", "message": "pool exhausted"}


class GatewayProcess:
    """A started gateway."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.process, self.url = process, url
        self.client = httpx.Client(base_url=url, timeout=20)

    def send(self, **changes: Any) -> httpx.Response:
        """POST the usual event with some fields changed."""
        return self.client.post("/api/v1/events", json=EVENT | changes)

    def wait_until_ready(self) -> None:
        """Until /readyz says so."""
        wait_until(lambda: self.client.get("/readyz").status_code == 200, timeout=60, what="the gateway to be ready")

    def end(self, signum: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """Signal it; gives its exit status and what it wrote."""
        self.process.send_signal(signum)
        output, _ = self.process.communicate(timeout=15)
        return self.process.returncode, output


def spawn(**settings: Any) -> subprocess.Popen[str]:
    """The process, with settings through its environment; stdout and stderr in one."""
    environment = os.environ | {name.upper(): str(value) for name, value in settings.items()}
    return subprocess.Popen(
        [sys.executable, "-m", "ingest_gateway"],
        env=environment,
        cwd=Path(__file__).parents[3],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@contextmanager
def gateway_process(bootstrap_servers: str, **settings: Any) -> Iterator[GatewayProcess]:
    """A gateway that answers, on a free port without `http_port`; killed at the end if the test did not end it."""
    port = settings.setdefault("http_port", free_port())
    process = spawn(kafka_bootstrap_servers=bootstrap_servers, **settings)
    gateway = GatewayProcess(process, f"http://127.0.0.1:{port}")
    try:
        wait_until(lambda: _answers(gateway), what="the gateway to answer")
        yield gateway
    finally:
        gateway.client.close()
        if process.poll() is None:
            process.kill()
        process.communicate()


def _answers(gateway: GatewayProcess) -> bool:
    assert gateway.process.poll() is None, "the gateway ended at once"
    try:
        return gateway.client.get("/health").status_code == 200
    except httpx.TransportError:
        return False
