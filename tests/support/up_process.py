"""The real `ops-assist up` as a process, on free ports and a state directory of its own."""

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any, Final

import psutil

from deploy.brokers.ports import free_port, is_free
from tests.support.waiting import wait_until

ROOT: Final = Path(__file__).parents[2]
PROGRAM: Final = Path(sys.executable).with_name("ops-assist")
READY_SECONDS: Final = 90.0
STOP_SECONDS: Final = 40.0
_PORTS: Final = ("HTTP", "DASHBOARD", "PROCESSOR", "ANALYZER", "MATERIALIZER", "BROKER", "POSTGRES")


class UpProcess:
    """Starts it as often as wanted; `environment` adds settings, as BROKER=embedded."""

    def __init__(self, state_dir: Path, **environment: str) -> None:
        self.ports = {name: free_port() for name in _PORTS}
        self.state_dir = state_dir
        self.environment = {
            **os.environ,
            **{f"{name}_PORT": str(port) for name, port in self.ports.items()},
            "STATE_DIR": str(state_dir),
            "TOPIC_PARTITIONS": "3",
            **environment,
        }
        self.output = state_dir.with_name(f"{state_dir.name}.output")
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The HTTP API."""
        return f"http://127.0.0.1:{self.ports['HTTP']}"

    @property
    def text(self) -> str:
        """What this run has said."""
        return self.output.read_text()

    @property
    def running(self) -> subprocess.Popen[bytes]:
        """The process, which was started."""
        assert self.process is not None
        return self.process

    @property
    def busy_ports(self) -> list[str]:
        """The ports that somebody holds."""
        return [name for name, port in self.ports.items() if not is_free(port)]

    def start(self) -> None:
        """Start it and wait until it is ready."""
        with self.output.open("wb") as output:
            self.process = subprocess.Popen([PROGRAM, "up"], env=self.environment, stdout=output, stderr=output)
        process = self.process
        wait_until(
            lambda: "ready: " in self.text or process.poll() is not None, timeout=READY_SECONDS, what="the ready line"
        )
        assert "ready: " in self.text, self.text

    def stop(self) -> int:
        """SIGTERM; gives the exit code."""
        self.running.terminate()
        return self.running.wait(STOP_SECONDS)

    def family(self) -> list[psutil.Process]:
        """All that it started."""
        return psutil.Process(self.running.pid).children(recursive=True)

    def service(self, name: str) -> psutil.Process:
        """The process of a service, by the module that it runs."""
        (found,) = [child for child in self.family() if name in child.cmdline()]
        return found

    def get(self, path: str) -> Any:
        """The JSON answer of the HTTP API."""
        with urllib.request.urlopen(f"{self.url}{path}", timeout=30) as answer:
            return json.load(answer)

    def command(self, *arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Run `ops-assist` with the same settings."""
        return subprocess.run(
            [PROGRAM, *arguments], env=self.environment, capture_output=True, text=True, timeout=timeout, check=False
        )

    def create_incidents(self) -> subprocess.CompletedProcess[str]:
        """Run create_incidents.sh against it."""
        return subprocess.run(
            [ROOT / "create_incidents.sh", self.url], capture_output=True, text=True, timeout=120, check=False
        )


def assert_gone(up: UpProcess, family: list[psutil.Process]) -> None:
    """No process and no port is left."""
    _, alive = psutil.wait_procs(family, timeout=15)
    assert [child.cmdline() for child in alive if child.status() != psutil.STATUS_ZOMBIE] == []
    assert up.busy_ports == []
