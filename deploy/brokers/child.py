"""Server processes that end with the process that started them, and are found again if they do not.

A child holds an advisory lock on a file in its state directory for as long as it, or a process it forked, lives. So a
held lock is proof of a running server, whatever process ids were reused since.
"""

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

import psutil

from deploy.brokers import guarded_exec

POLL_SECONDS: Final = 0.02
_LEFTOVER_SECONDS: Final = 8.0
_KILL_SECONDS: Final = 10.0

# The kernel's signal comes when the *thread* that forked ends: this one lives as long as the interpreter.
_launcher: Final = ThreadPoolExecutor(max_workers=1, thread_name_prefix="child-launcher")


class StateInUseError(Exception):
    """Another living process runs a server on the same state directory."""


class Account(NamedTuple):
    """The user that a child runs as."""

    uid: int
    gid: int


class Child:
    """At most one running server process on one lock file."""

    def __init__(self, lock_file: Path) -> None:
        self._lock_file = lock_file
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs and before it was started."""
        return self._process.poll() if self._process else None

    def spawn(
        self,
        command: Sequence[str],
        *,
        output: Path,
        death_signal: signal.Signals = signal.SIGTERM,
        account: Account | None = None,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
        pass_fds: Sequence[int] = (),
    ) -> None:
        """Start `command`; its output is appended to the file `output`.

        Raises:
            StateInUseError: a living process runs a server on the same lock file.
        """
        lock = self._take_lock()
        try:
            uid, gid = account or (guarded_exec.KEEP_USER, guarded_exec.KEEP_USER)
            guard = [sys.executable, "-I", "-S", guarded_exec.__file__]
            numbers = [str(number) for number in (os.getpid(), lock, int(death_signal), uid, gid)]
            with output.open("ab") as sink:
                self._process = _launcher.submit(
                    subprocess.Popen,
                    [*guard, *numbers, *command],
                    stdin=subprocess.DEVNULL,
                    stdout=sink,
                    stderr=sink,
                    env=environment,
                    cwd=directory,
                    pass_fds=(lock, *pass_fds),
                    start_new_session=True,  # Ctrl-C in the terminal is for the owner, who ends children in order
                ).result()
        finally:
            os.close(lock)

    def end(self, how: signal.Signals, timeout: float) -> None:
        """Ask it to end; after `timeout` seconds insist."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(how)
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
        self._wait_for_lock()

    def kill(self) -> None:
        """SIGKILL it and all that it forked."""
        if self._process is None:
            return
        for victim in _family(self._process.pid):
            with contextlib.suppress(psutil.NoSuchProcess):
                victim.kill()
        self._process.wait()
        self._wait_for_lock()

    def end_leftover(self) -> None:
        """End the server that an owner who is gone left behind on this lock file.

        Raises:
            StateInUseError: its owner lives.
        """
        os.close(self._take_lock())

    def _take_lock(self) -> int:
        self._lock_file.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(self._lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if not _locked(lock):
                self._end_holder(lock)
        except BaseException:
            os.close(lock)
            raise
        return lock

    def _end_holder(self, lock: int) -> None:
        holder = _read_holder(lock)
        if holder is not None and psutil.pid_exists(holder["owner"]) and _is_parent(holder["owner"], holder["pid"]):
            raise StateInUseError(f"{self._lock_file.parent} is in use by process {holder['owner']}")
        if wait_until(lambda: _locked(lock), _LEFTOVER_SECONDS):  # it was told to end when its owner did
            return
        for victim in _holders(self._lock_file):
            with contextlib.suppress(psutil.NoSuchProcess):
                victim.kill()
        if not wait_until(lambda: _locked(lock), _KILL_SECONDS):
            raise StateInUseError(f"{self._lock_file} is held by a server that does not end")

    def _wait_for_lock(self) -> None:
        """Wait for what it forked to be gone too."""
        if not self._lock_file.exists():
            return
        with self._lock_file.open("rb") as file:
            wait_until(lambda: _locked(file.fileno()), _KILL_SECONDS)


def wait_until(condition: Callable[[], bool], timeout: float) -> bool:
    """Whether `condition` came true within `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read_holder(lock: int) -> dict[str, int] | None:
    try:
        found = json.loads(os.pread(lock, 200, 0))
        return {"pid": int(found["pid"]), "owner": int(found["owner"])}
    except (ValueError, KeyError, TypeError):
        return None


def _is_parent(owner: int, pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).ppid() == owner)
    except psutil.NoSuchProcess:
        return False


def _holders(lock_file: Path) -> Iterator[psutil.Process]:
    """The processes that have the file open; a process id alone may have been reused."""
    wanted = str(lock_file.resolve())
    for process in psutil.process_iter():
        with contextlib.suppress(OSError, psutil.Error):
            links = [str(link.readlink()) for link in Path(f"/proc/{process.pid}/fd").iterdir()]
            if wanted in links and process.pid != os.getpid():
                yield process


def _family(pid: int) -> Iterator[psutil.Process]:
    try:
        parent = psutil.Process(pid)
        yield from (parent, *parent.children(recursive=True))
    except psutil.NoSuchProcess:
        return
