"""Alertmanager of Debian's package, as deploy/set_up_system.sh unpacks it or as the system has it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from tests.support.ports import free_port
from tests.support.unpacked import CACHE, found_program, running_program
from tests.support.waiting import wait_until


class Alertmanager:
    """A running Alertmanager."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=10, trust_env=False)

    def is_ready(self) -> bool:
        """Whether it takes alerts."""
        try:
            return self.http.get("/-/ready").is_success
        except httpx.TransportError:
            return False

    def post(self, labels: dict[str, str], began: datetime, ended: datetime | None = None, **annotations: str) -> None:
        """What Prometheus posts while an alert fires, and once when it no longer does."""
        alert: dict[str, Any] = {"labels": labels, "annotations": annotations, "startsAt": began.isoformat()}
        if ended is not None:
            alert["endsAt"] = ended.isoformat()
        answer = self.http.post("/api/v2/alerts", json=[alert])
        assert answer.is_success, answer.text

    def notified(self) -> int:
        """How many notifications it has sent, as its own metrics say."""
        name = 'alertmanager_notifications_total{integration="webhook"}'
        lines = self.http.get("/metrics").text.splitlines()
        return int(float(next((line.split()[-1] for line in lines if line.startswith(name)), "0")))


@contextmanager
def running_alertmanager(configuration: str, folder: Path) -> Iterator[Alertmanager]:
    """Alertmanager on a free port, with its data in `folder`; ended on leaving."""
    program = _program(folder)
    port, file, log = free_port(), folder / "alertmanager.yml", folder / "alertmanager.log"
    file.write_text(configuration)
    command: list[str | Path] = [
        program,
        f"--config.file={file}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    with running_program(command, log) as process:
        running = Alertmanager(f"http://127.0.0.1:{port}")
        try:
            wait_until(lambda: running.is_ready() or process.poll() is not None, what="Alertmanager ready")
            assert process.poll() is None, log.read_text()
            yield running
        finally:
            running.http.close()


def _program(folder: Path) -> Path:
    """Its path; the unpacked one finds its templates in the folder that it is started in."""
    unpacked = CACHE / "prometheus-alertmanager"
    for template in unpacked.glob("*.tmpl"):
        shutil.copy(template, folder)
    return found_program("prometheus-alertmanager", unpacked)
