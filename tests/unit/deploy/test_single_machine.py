"""The systemd unit: what systemd itself says of it, and that what it names exists."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from ops_assist.supervisor.pipeline import STOP_SECONDS
from runtime.settings import Settings

UNIT: Final = Path(__file__).parents[3] / "deploy" / "single-machine" / "ops-assist.service"
TEXT: Final = UNIT.read_text()
SERVERS: Final = 2
"""PostgreSQL and the broker end one after the other, once the services have ended together."""


def test_systemd_takes_it(tmp_path: Path) -> None:
    """`systemd-analyze verify`, with a program that is there in place of the installed one."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not here")
    unit = tmp_path / UNIT.name
    unit.write_text(TEXT.replace("/opt/ops-assist/.venv/bin/python", "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, timeout=60, check=False)
    said = [line for line in done.stderr.splitlines() if UNIT.name in line]
    assert (done.returncode, said) == (0, [])


def test_its_environment_is_settings() -> None:
    """A name that no setting has would be ignored without a word."""
    names = re.findall(r"(\w+)=", re.findall(r"^Environment=(.*)$", TEXT, re.MULTILINE)[0])

    assert {name.lower() for name in names} - Settings.model_fields.keys() == {"home", "xdg_cache_home"}


def test_it_gives_the_pipeline_the_time_that_it_takes_to_end() -> None:
    """SIGTERM goes to `up` alone, which ends the rest in order before systemd kills."""
    [seconds] = re.findall(r"^TimeoutStopSec=(\d+)$", TEXT, re.MULTILINE)

    assert "KillMode=mixed" in TEXT
    assert int(seconds) > STOP_SECONDS * (1 + SERVERS)
