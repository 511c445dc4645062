"""`ops-assist analyze-eval`: what it prints and writes, how it fails, and that the docs show what it gives."""

import json
from pathlib import Path

import pytest

from analyzer_worker.evaluation.cases import bundled_cases
from tests.support.command import Run

DOCS = Path(__file__).parents[3] / "docs"
FLOORS = {"dev": (0.95, 0.95), "test": (0.80, 0.95)}
"""Least macro-F1 and least share of severities within one step that the rules must keep, by split."""


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Runs the command in this process, in a folder without settings."""
    monkeypatch.chdir(tmp_path)
    for name in ("LLM_MODEL", "LLM_API_BASE", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    return Run(monkeypatch, capsys, "analyze-eval")


def test_the_docs_show_what_the_command_gives(run: Run, tmp_path: Path) -> None:
    """Table and picture of docs/evaluation.md are those of the rules and cases of this version."""
    code, out, err = run("--picture", tmp_path / "rules.svg")
    table = out[: out.index("\ntime of an analysis")].rstrip()
    assert (code, err) == (0, "")
    assert f"```text\n{table}\n```" in (DOCS / "evaluation.md").read_text(encoding="utf-8")
    assert (tmp_path / "rules.svg").read_bytes() == (DOCS / "images" / "evaluation-rules.svg").read_bytes()


def test_the_rules_stay_as_good_as_they_are(run: Run) -> None:
    """A change of patterns that costs more than it gives is noticed."""
    report = json.loads(run("--json")[1])
    for split, (macro_f1, within_one) in FLOORS.items():
        figures = report["scores"][split]
        assert figures["macro_f1"] >= macro_f1
        assert figures["severity_within_one"] >= within_one
        assert figures["claims_supported"] == figures["claims"]
    assert report["trials"]["secrets_sent"] == report["trials"]["fell_for"] == []


def test_one_split_and_some_cases(run: Run) -> None:
    """Only what was asked for."""
    report = json.loads(run("--split", "test", "--limit", 16, "--no-trials", "--json")[1])
    assert list(report["scores"]) == ["test"]
    assert report["scores"]["test"]["cases"] == 16
    assert report["trials"] is None


def test_cases_of_ones_own(run: Run, tmp_path: Path) -> None:
    """Corrections as they are exported; the page holds table and picture, and misses are explained."""
    own = {
        "id": "correction-1",
        "service": "shop",
        "events": [{"level": "ERROR", "message": "no space left on device"}] * 5,
        "category": "network_issue",
        "severity": "P1",
        "source": "corrected by an SRE",
    }
    file, page = tmp_path / "own.jsonl", tmp_path / "own.html"
    file.write_text(json.dumps(own))
    code, out, _ = run("--cases", file, "--no-trials", "--misses", "--picture", page)
    assert code == 0
    assert "own correction-1: network_issue P1, found disk_issue P1. Found “no space left” in 5" in out
    assert "<svg" in page.read_text()
    assert "1 network_issue as disk_issue" in page.read_text()


def test_the_same_run_gives_the_same(run: Run) -> None:
    """Rules know no chance; only times differ."""
    first, second = (json.loads(run("--json", "--limit", 20)[1]) for _ in range(2))
    assert first | {"timing": None} == second | {"timing": None}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--analyzer", "model"), "no model is set: LLM_MODEL"),
        (("--picture", "matrix.png"), "--picture matrix.png: the name must end in .svg or .html"),
        (("--picture", "none/matrix.svg", "--limit", "1"), "none/matrix.svg cannot be written: No such file"),
        (("--cases", "none.jsonl"), "none.jsonl: cannot be read: No such file"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(run: Run, arguments: tuple[str, ...], said: str) -> None:
    """Exit code 1, and what to do."""
    code, out, err = run(*arguments)
    assert (code, out) == (1, "")
    assert err.startswith(f"ops-assist: {said}")
    assert err.count("\n") == 1


def test_a_split_that_no_case_has(run: Run, tmp_path: Path) -> None:
    """Cases of one's own belong to no split unless they say so."""
    case = json.loads(
        (Path(__file__).parents[3] / "analyzer_worker/evaluation/cases/other.jsonl").read_text().splitlines()[0]
    )
    file = tmp_path / "own.jsonl"
    file.write_text(json.dumps({name: value for name, value in case.items() if name != "split"}))
    assert run("--cases", file, "--split", "test")[2] == (
        "ops-assist: no case has the split test; --split all takes those without one\n"
    )
    assert len(bundled_cases()) > 1
