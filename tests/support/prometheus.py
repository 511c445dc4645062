"""Prometheus and promtool for tests, as deploy/set_up_system.sh unpacks them or as the system has them."""

import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from tests.support.ports import free_port
from tests.support.unpacked import CACHE, found_program, running_program
from tests.support.waiting import wait_until

FOLDER: Final = Path(__file__).parents[2] / "deploy" / "prometheus"
_POLL_SECONDS: Final = 0.1


def program(name: str) -> Path:
    """The path of `prometheus` or `promtool`; skips the test, and on CI fails it, where there is none."""
    return found_program(name, CACHE / "prometheus")


def promtool(*arguments: str | Path) -> str:
    """What promtool prints; fails the test with it where promtool finds a fault."""
    done = subprocess.run(
        [program("promtool"), *arguments], capture_output=True, text=True, timeout=60, check=False, cwd=FOLDER
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Prometheus:
    """A running Prometheus."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=10, trust_env=False)

    def is_ready(self) -> bool:
        """Whether it answers queries."""
        try:
            return self.http.get("/-/ready").is_success
        except httpx.TransportError:
            return False

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series that an instant query gives; fails the test where it cannot be evaluated."""
        answer = self.http.post("/api/v1/query", data={"query": expression}).json()
        assert answer["status"] == "success", f"{expression}: {answer.get('error')}"
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def rules(self) -> list[dict[str, Any]]:
        """The alerts in the order of their file, with `health` and the last error."""
        groups = self.http.get("/api/v1/rules").json()["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def still_without_data(self, expressions: Iterable[str], *, within: float) -> set[str]:
        """Those of the queries that give nothing after `within` seconds."""
        empty = set(expressions)
        deadline = time.monotonic() + within
        while empty and time.monotonic() < deadline:
            empty = {expression for expression in empty if not self.query(expression)}
            time.sleep(_POLL_SECONDS)
        return empty


@contextmanager
def running_prometheus(configuration: Path, folder: Path) -> Iterator[Prometheus]:
    """Prometheus on a free port, with its data in `folder`; ended on leaving."""
    port = free_port()
    log = folder / "prometheus.log"
    command: list[str | Path] = [
        program("prometheus"),
        f"--config.file={configuration}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with running_program(command, log) as process:
        running = Prometheus(f"http://127.0.0.1:{port}")
        try:
            wait_until(lambda: running.is_ready() or process.poll() is not None, what="Prometheus ready")
            assert process.poll() is None, log.read_text()
            yield running
        finally:
            running.http.close()
