"""One `up` at a time on one state directory."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ops_assist.errors import CommandError


@contextmanager
def state_lock(state_dir: Path) -> Iterator[None]:
    """Hold the state directory; the kernel gives it free however this process ends.

    Raises:
        CommandError: another `up` holds it, or it cannot be written.
    """
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(state_dir / "up.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise CommandError(f"cannot write to {state_dir}: {error.strerror}; set STATE_DIR to another place") from error
    try:
        _lock(descriptor, state_dir)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, state_dir: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
        raise CommandError(
            f"{state_dir} is in use by another `ops-assist up` (process {holder}); stop that one or set STATE_DIR"
        ) from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
