"""Programs that deploy/set_up_system.sh unpacks into the user's cache, run as the test's own processes."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

CACHE: Final = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ops-assist"
_STOP_SECONDS: Final = 10.0


def present(name: str, path: Path | None) -> Path:
    """The path, where it is there; else skips the test, and on CI fails it."""
    if path is None or not path.exists():
        reason = f"{name} is not here: sh deploy/set_up_system.sh gets it on Debian"
        assert os.environ.get("CI") != "true", reason
        pytest.skip(reason)
    return path


def found_program(name: str, folder: Path) -> Path:
    """The path of a program, unpacked in `folder` or of the system; see `present`."""
    found = shutil.which(name, path=f"{folder}{os.pathsep}{os.environ.get('PATH', '')}")
    return present(name, Path(found) if found else None)


@contextmanager
def running_program(
    command: Sequence[str | Path], log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that writes to `log`; ended on leaving."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, cwd=log.parent, env={**os.environ, **(environment or {})}
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
