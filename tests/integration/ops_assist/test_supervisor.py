"""`up` with small services on a real embedded broker and a real PostgreSQL: how it ends, whatever happens."""

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from deploy.brokers.embedded import EmbeddedBroker
from deploy.brokers.ports import is_free
from tests.support.ports import free_port
from tests.support.waiting import wait_until

SMALL_UP = Path(__file__).with_name("small_up.py")
ROOT = Path(__file__).parents[3]

pytestmark = pytest.mark.embedded_broker


class Up:
    """One supervised pipeline under test."""

    def __init__(self, state_dir: Path, **environment: str) -> None:
        self.ports = {name: free_port() for name in ("HTTP", "DASHBOARD", "BROKER", "POSTGRES")}
        self._environment = {
            **os.environ,
            **{f"{name}_PORT": str(port) for name, port in self.ports.items()},
            "STATE_DIR": str(state_dir),
            "BROKER": "embedded",
            "PYTHONPATH": str(ROOT),
            **environment,
        }
        self.output = state_dir.with_suffix(".output")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *behaviours: str) -> subprocess.Popen[bytes]:
        """Start it with a front door and a dashboard that behave so."""
        names = zip(("front_door", "dashboard"), ("HTTP", "DASHBOARD"), behaviours, strict=True)
        services = [f"{name}:{self.ports[port]}:{behaviour}" for name, port, behaviour in names]
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, SMALL_UP, *services], env=self._environment, stdout=output, stderr=output
            )
        return self.process

    def start_ready(self, *behaviours: str) -> subprocess.Popen[bytes]:
        """Start it and wait for its ready line."""
        process = self.start(*behaviours)
        wait_until(lambda: "ready: " in self.text or process.poll() is not None, what="ready")
        assert "ready: " in self.text, self.text
        return process

    @property
    def text(self) -> str:
        """What it has said."""
        return self.output.read_text()

    @property
    def busy_ports(self) -> list[str]:
        """The ports that somebody still holds."""
        return [name for name, port in self.ports.items() if not is_free(port)]


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    """A pipeline in a directory with a space in its name, with a database of its own."""
    with_space = Up(tmp_path / "the state")
    yield with_space
    if with_space.process is not None and with_space.process.poll() is None:
        with_space.process.terminate()
        with_space.process.wait(30)


def _family(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def _lives(child: psutil.Process) -> bool:
    """Whether it runs: the dead wait for the machine's first process to take note."""
    return child.is_running() and child.status() != psutil.STATUS_ZOMBIE


def _assert_nothing_is_left(up: Up, family: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(family, timeout=10)
    assert [child.name() for child in alive] == []
    assert up.busy_ports == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_everything_cleanly(up: Up, number: signal.Signals) -> None:
    """Ctrl-C, a service manager and a closed terminal: exit code 0, no process, no port."""
    process = up.start_ready("plain", "plain")
    family = _family(process)
    assert len(family) >= 4
    process.send_signal(number)
    assert process.wait(30) == 0
    _assert_nothing_is_left(up, family)
    assert up.text.splitlines()[-1].endswith("stopped")


def test_the_lines_say_where_everything_is(up: Up) -> None:
    """The ready line is exactly so; the next one names broker, limits and database, and no password."""
    up.start_ready("plain", "plain")
    wait_until(lambda: "\nbroker: " in up.text and up.text.endswith("\n"), what="the line after the ready line")
    lines = up.text.splitlines()
    ready = next(index for index, line in enumerate(lines) if line.startswith("ready"))
    http, dashboard = up.ports["HTTP"], up.ports["DASHBOARD"]
    assert lines[ready] == f"ready: http://localhost:{http} (docs at /docs), dashboard http://localhost:{dashboard}"
    assert f"at 127.0.0.1:{up.ports['BROKER']}" in lines[ready + 1]
    assert f"PostgreSQL at 127.0.0.1:{up.ports['POSTGRES']}/" in lines[ready + 1]
    assert all(limit in lines[ready + 1] for limit in EmbeddedBroker.limitations)
    assert "postgresql://" not in up.text


def test_the_crash_of_a_service_ends_everything(up: Up) -> None:
    """One line says which, how it ended and where its log is; the exit code is 1; the next start works."""
    process = up.start_ready("plain", "plain")
    family = _family(process)
    with pytest.raises((urllib.error.URLError, ConnectionError)):
        urllib.request.urlopen(f"http://127.0.0.1:{up.ports['DASHBOARD']}/crash", timeout=5)
    assert process.wait(30) == 1
    _assert_nothing_is_left(up, family)
    faults = [line for line in up.text.splitlines() if line.startswith("ops-assist: ")]
    assert len(faults) == 1
    assert faults[0].startswith("ops-assist: dashboard ended with exit code 3; its log is ")
    assert Path(faults[0].rpartition("its log is ")[2]).read_text().startswith('{"level": "info"')
    up.start_ready("plain", "plain")


@pytest.mark.parametrize(("port", "name"), [("BROKER", "the broker"), ("POSTGRES", "PostgreSQL")])
def test_the_crash_of_a_server_ends_everything(up: Up, port: str, name: str) -> None:
    """The broker or the database killed from outside: one line, exit code 1."""
    process = up.start_ready("plain", "plain")
    family = _family(process)
    victims = [child for child in family if str(up.ports[port]) in " ".join(child.cmdline())]
    victims[0].kill()
    assert process.wait(30) == 1
    _assert_nothing_is_left(up, family)
    assert f"ops-assist: {name} ended by itself" in up.text


def test_a_kill_of_up_itself_leaves_nothing_and_the_next_start_works(up: Up) -> None:
    """The kernel ends the services with it, the servers end themselves."""
    process = up.start_ready("plain", "stubborn")
    family = _family(process)
    process.kill()
    process.wait(10)
    up.start_ready("plain", "plain")
    assert [child for child in family if _lives(child)] == []


def test_a_service_that_does_not_listen_is_killed(up: Up) -> None:
    """After its time to end is over; that is no failure."""
    process = up.start_ready("plain", "stubborn")
    family = _family(process)
    process.terminate()
    assert process.wait(30) == 0
    _assert_nothing_is_left(up, family)


def test_a_service_that_never_is_ready_is_a_failure_with_its_reason(up: Up) -> None:
    """The line has what its /readyz said."""
    process = up.start("plain", "unready")
    assert process.wait(40) == 1
    assert "dashboard is not ready after 5 s: broker: still looking; its log is " in up.text
    assert up.busy_ports == []


def test_a_signal_during_the_start_ends_it(up: Up) -> None:
    """Whatever has begun is ended; exit code 0."""
    process = up.start("plain", "plain")
    wait_until(lambda: up.busy_ports, what="a server that listens")
    process.terminate()
    assert process.wait(30) == 0
    assert up.busy_ports == []
    assert "ready: " not in up.text


def test_a_second_up_on_the_same_state_is_refused(up: Up) -> None:
    """In one line; the first is not disturbed."""
    process = up.start_ready("plain", "plain")
    refused = subprocess.run(process.args, env=up._environment, capture_output=True, text=True, timeout=30, check=False)
    assert (refused.returncode, process.poll()) == (1, None)
    assert f"in use by another `ops-assist up` (process {process.pid})" in refused.stderr
