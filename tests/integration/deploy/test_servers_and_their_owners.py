"""Brokers and PostgreSQL end with the process that started them, and come back on their port and their data."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psutil
import pytest

from deploy.brokers.apache_kafka import ApacheKafka
from deploy.brokers.base import BrokerError
from deploy.brokers.embedded import EmbeddedBroker
from deploy.postgres import EmbeddedPostgres, PostgresError
from tests.support.brokers import APACHE_KAFKA, EMBEDDED, make_broker
from tests.support.ports import free_port
from tests.support.waiting import wait_until

Server = ApacheKafka | EmbeddedBroker | EmbeddedPostgres

POSTGRES: Final = "postgres"
every_server = pytest.mark.parametrize(
    "kind",
    [
        pytest.param(APACHE_KAFKA, marks=pytest.mark.apache_kafka),
        pytest.param(EMBEDDED, marks=pytest.mark.embedded_broker),
        POSTGRES,
    ],
)


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    """A directory with a space in its name and a path too long for a socket, which nobody else may enter."""
    return tmp_path / "a state directory" / ("long" * 30)


@pytest.fixture
def server(kind: str, state_dir: Path) -> Iterator[Server]:
    """A server of that kind, not started; stopped at the end."""
    if kind == POSTGRES:
        made: Server = EmbeddedPostgres(state_dir, fast=True)
    else:
        broker = make_broker(kind, state_dir)
        assert isinstance(broker, ApacheKafka | EmbeddedBroker)
        made = broker
    yield made
    made.stop()


def _own(kind: str, state_dir: Path, port: int) -> tuple[subprocess.Popen[str], psutil.Process]:
    owner = subprocess.Popen(
        [sys.executable, "-m", "tests.support.owner", kind, str(state_dir), str(port)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert owner.stdout is not None
    return owner, psutil.Process(int(owner.stdout.readline()))


def _lives(process: psutil.Process) -> bool:
    """Whether it can still do something: one that ended is a zombie until its parent, maybe process 1, takes note."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _kill(owner: subprocess.Popen[str]) -> None:
    owner.kill()
    owner.communicate()


@every_server
def test_server_ends_when_its_owner_is_killed(kind: str, state_dir: Path) -> None:
    """SIGKILL of the owner ends the server and all its processes."""
    owner, process = _own(kind, state_dir, free_port())
    family = [process, *process.children(recursive=True)]
    _kill(owner)
    wait_until(lambda: not any(_lives(member) for member in family), what="the server's end")


@every_server
def test_next_start_does_not_stumble_over_a_server_that_is_still_ending(
    kind: str, server: Server, state_dir: Path
) -> None:
    """Started at once after its owner was killed, on the same port and data, it serves."""
    owner, process = _own(kind, state_dir, server.port)
    _kill(owner)
    server.start()
    assert server.pid != process.pid
    assert server.is_running()


@every_server
def test_hung_leftover_is_killed(kind: str, server: Server, state_dir: Path) -> None:
    """A server that cannot end because it is stopped (SIGSTOP) is killed before the next start."""
    owner, process = _own(kind, state_dir, server.port)
    process.suspend()
    _kill(owner)
    server.start()
    assert not _lives(process)


@every_server
def test_state_directory_in_use_is_told_in_one_line(kind: str, server: Server, state_dir: Path) -> None:
    """A second start on the state of a living owner is refused and does it no harm."""
    owner, process = _own(kind, state_dir, free_port())
    try:
        with pytest.raises((BrokerError, PostgresError), match=rf"in use by process {owner.pid}: set STATE_DIR"):
            server.start()
        assert _lives(process)
    finally:
        _kill(owner)


@every_server
def test_port_in_use_is_told_with_the_setting_that_changes_it(kind: str, server: Server) -> None:
    """One line names the port and the setting; nothing is left behind, and the next start works."""
    setting = "POSTGRES_PORT" if kind == POSTGRES else "BROKER_PORT"
    with (
        socket.create_server(("127.0.0.1", server.port)),
        pytest.raises(
            (BrokerError, PostgresError), match=rf"^port {server.port} is in use: set {setting} to another one$"
        ),
    ):
        server.start()
    server.start()


@every_server
def test_server_outlives_the_thread_that_started_it(server: Server) -> None:
    """The kernel ties a child to the forking thread; the project ties it to the process."""
    thread = threading.Thread(target=server.start)
    thread.start()
    thread.join()
    assert server.is_running()
    with socket.create_connection(("127.0.0.1", server.port), 5):
        pass


@every_server
def test_killed_server_comes_back_on_its_port(server: Server) -> None:
    """After SIGKILL nothing of it runs, its port is free at once, and it starts again; stopping twice is harmless."""
    server.start()
    first = psutil.Process(server.pid)
    family = [first, *first.children(recursive=True)]
    server.kill()
    wait_until(lambda: not any(_lives(member) for member in family), what="the end of all its processes")
    assert server.pid is None
    server.start()
    server.stop()
    server.stop()
    assert not server.is_running()
