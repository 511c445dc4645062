"""Rsyslogd of Debian's packages without their service: in the foreground, as the user of the test."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.support.ports import free_port
from tests.support.unpacked import CACHE, present, running_program
from tests.support.waiting import wait_until

_ROOT: Final = CACHE / "rsyslog" / "usr"


class Rsyslog:
    """A running rsyslogd that takes messages over TCP."""

    def __init__(self, port: int, log: Path) -> None:
        self._port, self._log = port, log

    def send(self, *messages: str) -> None:
        """Write messages to it, as a program on another host would."""
        with socket.create_connection(("127.0.0.1", self._port), timeout=10) as connection:
            connection.sendall("".join(f"{message}\n" for message in messages).encode())

    def listens(self) -> bool:
        """Whether it takes connections."""
        try:
            socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
        except OSError:
            return False
        return True

    @property
    def complaints(self) -> str:
        """What it wrote to its standard error."""
        return self._log.read_text()


@contextmanager
def running_rsyslog(configuration: str, folder: Path) -> Iterator[Rsyslog]:
    """Rsyslogd with an input over TCP and the blocks of a configuration that do something with it."""
    modules = present("rsyslog", next(_ROOT.glob("lib/*/rsyslog/omkafka.so"), None)).parent
    port, file, log = free_port(), folder / "rsyslog.conf", folder / "rsyslog.log"
    file.write_text(
        f'global(workDirectory="{folder}")\n'
        'module(load="imtcp")\n'
        f'input(type="imtcp" address="127.0.0.1" port="{port}")\n{configuration}'
    )
    command: list[str | Path] = [
        _ROOT / "sbin" / "rsyslogd",
        "-n",
        "-f",
        file,
        "-i",
        folder / "rsyslog.pid",
        "-M",
        modules,
    ]
    with running_program(command, log, {"LD_LIBRARY_PATH": str(modules.parent)}) as process:
        rsyslog = Rsyslog(port, log)
        wait_until(lambda: rsyslog.listens() or process.poll() is not None, what="rsyslogd listening")
        assert process.poll() is None, rsyslog.complaints
        yield rsyslog
