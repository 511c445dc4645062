"""What the servers that the project runs on this machine have in common: one process, one directory, one port."""

import signal
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from deploy.brokers.child import Child, StateInUseError
from deploy.brokers.ports import free_port, is_free


class Server(ABC):
    """A server on loopback whose state stays under `home`; port 0 takes a free port and keeps it."""

    name: str
    """What it is called, with its version where there are several."""
    error: ClassVar[type[Exception]]
    """What says, in one line, why it does not run."""
    port_setting: ClassVar[str]
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    stop_seconds: ClassVar[float] = 8.0
    """How long it may take to end before it is killed."""

    def __init__(self, home: Path, port: int) -> None:
        self.home = home.resolve()
        self.port = port or free_port()
        self._child = Child(self.home / "lock")

    @property
    def pid(self) -> int | None:
        """The process while it runs."""
        return self._child.pid

    def is_running(self) -> bool:
        """Whether its process lives."""
        return self._child.pid is not None

    def start(self, timeout: float = 60) -> None:
        """Start it and wait until it serves; at most `timeout` seconds.

        Raises:
            Exception: its own `error`: in one line, why it does not.
        """
        if self.is_running():
            return
        self._prepare()
        self._launch()
        try:
            self._await_service(timeout)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """End it cleanly; a second call does nothing."""
        self._child.end(self.stop_signal, self.stop_seconds)

    def kill(self) -> None:
        """End it and all its processes with SIGKILL, as a crash would."""
        self._child.kill()

    def _launch(self, *options: str) -> None:
        """Spawn it, with its own way to say what is in the way."""
        try:
            self._child.end_leftover()
            if not is_free(self.port):
                raise self.error(f"port {self.port} is in use: set {self.port_setting} to another one")
            self._spawn(*options)
        except StateInUseError as error:
            raise self.error(f"{error}: set STATE_DIR to another directory") from error
        except OSError as error:
            raise self.error(f"cannot start {self.name} in {self.home}: {error}") from error

    def _prepare(self) -> None:  # noqa: B027 - most need nothing
        """What must be there before it can be launched."""

    @abstractmethod
    def _spawn(self, *options: str) -> None:
        """Start the process; `options` are for the program that runs it."""

    @abstractmethod
    def _await_service(self, timeout: float) -> None:
        """Wait until it serves, or say why it does not."""
