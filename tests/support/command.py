"""A command of `ops-assist`, run in the test's own process."""

import sys

import pytest

from ops_assist.cli import main


class Run:
    """Runs `ops-assist` with some words always first."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> None:
        self.monkeypatch = monkeypatch
        self.capsys = capsys
        self.words = words

    def __call__(self, *arguments: object) -> tuple[object, str, str]:
        """Exit code, stdout and stderr of the command with these arguments."""
        self.monkeypatch.setattr(sys, "argv", ["ops-assist", *self.words, *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = self.capsys.readouterr()
        return ended.value.code, captured.out, captured.err
