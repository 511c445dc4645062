"""Prometheus and promtool for tests, as deploy/set_up_system.sh unpacks them or as the system has them."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.support.ports import free_port
from tests.support.waiting import wait_until

FOLDER: Final = Path(__file__).parents[2] / "deploy" / "prometheus"
_STOP_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.1


def program(name: str) -> str:
    """The path of `prometheus` or `promtool`; skips the test, and on CI fails it, where there is none."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ops-assist" / "prometheus"
    found = shutil.which(name, path=f"{cache}{os.pathsep}{os.environ.get('PATH', '')}")
    if found is None:
        reason = f"{name} is not here: sh deploy/set_up_system.sh gets it on Debian"
        assert os.environ.get("CI") != "true", reason
        pytest.skip(reason)
    return found


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
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                program("prometheus"),
                f"--config.file={configuration}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=output,
            stderr=output,
            cwd=folder,
        )
    running = Prometheus(f"http://127.0.0.1:{port}")
    try:
        wait_until(lambda: running.is_ready() or process.poll() is not None, what="Prometheus ready")
        assert process.poll() is None, log.read_text()
        yield running
    finally:
        running.http.close()
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
