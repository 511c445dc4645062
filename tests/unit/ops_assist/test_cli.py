"""The command line itself: it lists, it is quick, it fails in one line."""

import subprocess
import sys
from pathlib import Path

import pytest

from ops_assist.cli import COMMANDS, main

PROGRAM = Path(sys.executable).with_name("ops-assist")


def _run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["ops-assist", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_help_lists_every_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`ops-assist --help` names each command with what it does."""
    assert _run(monkeypatch, "--help") == 0
    printed = capsys.readouterr().out
    assert all(name in printed and text in printed for name, (text, _) in COMMANDS.items())


@pytest.mark.parametrize(
    "command",
    [
        *COMMANDS,
        "incidents list",
        "incidents show",
        "incidents set",
        "incidents correct",
        "dlq list",
        "dlq counts",
        "dlq show",
        "dlq retry",
        "dlq drop",
        "topics plan",
        "topics apply",
        "topics declared",
        "rules check",
        "rules test",
    ],
)
def test_every_command_has_help(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """--help of each command is a success that shows its usage."""
    assert _run(monkeypatch, *command.split(), "--help") == 0
    assert f"ops-assist {command}" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("nonsense",), "No such command 'nonsense'"),
        (("send",), "Missing argument 'files'"),
        (("send", "--speed", "-3", "x.jsonl"), "takes a positive number or max"),
        (("incidents", "show", "seven"), "Invalid value for 'incident'"),
    ],
)
def test_a_wrong_call_is_one_line_and_exit_code_2(
    arguments: tuple[str, ...], line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is wrong with a call is said in one line on stderr."""
    assert _run(monkeypatch, *arguments) == 2
    captured = capsys.readouterr()
    assert line in captured.err
    assert (captured.out, captured.err.count("\n")) == ("", 1)


@pytest.mark.parametrize("command", ["incidents list --url http://127.0.0.1:9", "incidents show 1 --url nowhere"])
def test_a_missing_api_is_one_line_and_exit_code_1(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No pipeline: no stack trace, but what to do."""
    assert _run(monkeypatch, *command.split()) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("ops-assist: ")
    assert captured.err.count("\n") == 1


def test_a_bad_setting_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A setting that cannot be used is named."""
    monkeypatch.setenv("HTTP_PORT", "many")
    assert _run(monkeypatch, "incidents", "list") == 1
    assert "HTTP_PORT" in capsys.readouterr().err


def test_help_imports_no_command() -> None:
    """What makes commands slow to start is not loaded for the list of them."""
    code = (
        "import sys; from ops_assist.cli import main; sys.argv = ['ops-assist', '--help']\n"
        "try: main()\n"
        "except SystemExit: print([m for m in ('httpx', 'aiokafka', 'fastapi', 'ops_assist.commands') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_program_tells_its_version() -> None:
    """The installed program runs."""
    done = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.startswith("ops-assist ")
