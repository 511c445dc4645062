"""`ops-assist backtest` on files: what it prints, writes and refuses, in one process and in several."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ops_assist.cli import main

RULES = "rules:\n- {name: error-burst, kind: count, window: 5m, threshold: 3}\n"


class Run:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
        self.monkeypatch = monkeypatch
        self.captured = capfdbinary

    def __call__(self, *arguments: object) -> tuple[object, bytes, str]:
        """Exit code, stdout and stderr of `ops-assist backtest` with these arguments."""
        self.monkeypatch.setattr(sys, "argv", ["ops-assist", "backtest", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = self.captured.readouterr()
        return ended.value.code, captured.out, captured.err.decode()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Run:
    """Runs the command in this process."""
    return Run(monkeypatch, capfdbinary)


@pytest.fixture
def events(tmp_path: Path) -> Path:
    """Six errors of one service, three of another, and a line that is no event."""
    file = tmp_path / "events.jsonl"
    made = [("checkout", n) for n in range(6)] + [("search", n) for n in range(3)]
    lines = [
        json.dumps({"service": s, "level": "ERROR", "message": "boom", "timestamp": f"2026-01-01T00:00:{n:02}Z"})
        for s, n in made
    ]
    file.write_text("\n".join([*lines, "junk", ""]))
    return file


def test_json_is_one_object_the_same_bytes_in_any_number_of_processes(run: Run, events: Path) -> None:
    """The default rule: one incident of the service with six errors."""
    code, out, _ = run(events, "--json", "--jobs", 1)
    told = json.loads(out)
    [incident] = told["incidents"]
    assert code == 0
    assert (incident["service"], incident["rule"], incident["event_count"]) == ("checkout", "error-burst", 6)
    assert incident["first_event_at"] == "2026-01-01T00:00:00.000000Z"
    assert told["ledger"] == {"attached": 1, "dead_lettered": 1, "opened": 1, "qualified": 7}
    in_two = [sys.executable, "-m", "ops_assist", "backtest", str(events), "--json", "--jobs", "2"]
    assert subprocess.run(in_two, capture_output=True, check=True).stdout == out


def test_rules_are_compared_with_those_in_force(run: Run, events: Path, tmp_path: Path) -> None:
    """A lower threshold adds the other service and opens earlier; the page shows it."""
    rules, page = tmp_path / "new.yaml", tmp_path / "page.html"
    rules.write_text(RULES)
    code, out, err = run(events, "--rules", rules, "--against", "live", "--html", page, "--jobs", 1)
    text = out.decode()
    assert code == 0
    assert "1 added, 0 lost, 1 changed, 0 the same" in text
    assert "detected 2 s earlier" in text
    assert "not an event: 10: not JSON" in err
    assert "new.yaml" in page.read_text()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "give files of events, or --topic"),
        (["nothing.jsonl"], 1, "nothing.jsonl: No such file"),
        (["nothing.jsonl", "--from", "5"], 2, "go with --topic"),
        (["--topic", "ops.events", "--from", "noon"], 2, "'noon' is no bound"),
        (["nothing.jsonl", "--rules", "nothing.yaml"], 1, "ops-assist rules check"),
    ],
)
def test_what_cannot_be_done_says_what_to_do(run: Run, arguments: list[str], code: int, said: str) -> None:
    """One line, and the exit code of its sort."""
    found, out, err = run(*arguments)
    assert (found, out) == (code, b"")
    assert said in err
