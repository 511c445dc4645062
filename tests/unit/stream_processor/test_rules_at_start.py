"""The processor starts with the rules of RULES, or says why not and does not start."""

import os
import subprocess
import sys
from pathlib import Path


def test_an_invalid_rule_file_stops_the_start(tmp_path: Path) -> None:
    """Before anything is connected to: every fault on its line, exit code 1."""
    (tmp_path / "rules.yaml").write_text("rules:\n- {name: A, kind: count, window: 1m}\n")
    ended = subprocess.run(
        [sys.executable, "-m", "stream_processor"],
        env={**os.environ, "RULES": "rules.yaml", "PYTHONPATH": str(Path(__file__).parents[3])},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.splitlines() == [
        "stream_processor: the rules of RULES cannot be used:",
        "rules.yaml:2:3: rules[0].threshold: is required: a whole number from 1 to 10000",
        "rules.yaml:2:10: rules[0].name: expected 1 to 64 of a-z, 0-9 and -; found 'A'",
    ]
