"""`ops-assist rules check` and `ops-assist rules test`: what they print and how they exit."""

import json
from pathlib import Path

import pytest

from tests.support.command import Run

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"
RULE = "rules:\n- {name: a, kind: count, window: 1m, threshold: 2}\n"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in this process."""
    return Run(monkeypatch, capsys, "rules")


def test_check_shows_the_rules(run: Run) -> None:
    """Good files: a table, and 0."""
    code, out, err = run("check", EXAMPLES)
    assert (code, err) == (0, "")
    assert "error-burst" in out
    assert "payment-timeouts" in out
    assert "over 3 x baseline and 10 events" in out
    assert "0.1 of at least 20 events" in out
    assert "silence after 10 events" in out
    assert "2 of a new template" in out
    assert out.rstrip().endswith("6 rules, allowed lateness 10m")


def test_check_tells_every_error_on_its_line(run: Run, tmp_path: Path) -> None:
    """Bad files: 1, nothing but the errors."""
    file = tmp_path / "bad.yaml"
    file.write_text(f"{RULE}- {{name: b, kind: count, window: 0s}}\n")
    assert run("check", file) == (
        1,
        "",
        (
            f"{file}:3:3: rules[1].threshold: is required: a whole number from 1 to 10000\n"
            f"{file}:3:34: rules[1].window: expected a duration from 1s to 1d, as 90s, 5m or 1h30m; found '0s'\n"
        ),
    )


def test_check_as_json(run: Run, tmp_path: Path) -> None:
    """For programs: the same, on stdout."""
    code, out, _ = run("check", EXAMPLES / "error-burst.yaml", "--json")
    answer = json.loads(out)
    assert (code, answer["valid"], answer["errors"], answer["allowed_lateness"]) == (0, True, [], "10m")
    assert [(rule["name"], rule["window"], rule["levels"][0]) for rule in answer["rules"]] == [
        ("error-burst", "5m", "ERROR"),
        ("payment-timeouts", "1m30s", "WARNING"),
    ]
    _, out, _ = run("check", EXAMPLES / "every-kind.yaml", "--json")
    rules = {rule["kind"]: rule for rule in json.loads(out)["rules"]}
    assert (rules["rate"]["multiple"], rules["rate"]["baseline_windows"]) == (3, 60)
    assert (rules["ratio"]["share"], rules["ratio"]["allowed_lateness"]) == (0.1, "30s")
    assert "quiet_period" not in rules["absence"]
    assert rules["new-pattern"]["learning_period"] == "30m"
    code, out, err = run("check", tmp_path / "none.yaml", "--json")
    answer = json.loads(out)
    assert (code, err, answer["valid"], answer["rules"]) == (1, "", False, [])
    assert answer["errors"][0] == {
        "file": str(tmp_path / "none.yaml"),
        "line": 1,
        "column": 1,
        "field": "file",
        "expected": "expected a file that can be read: No such file or directory",
    }


def test_the_examples_pass(run: Run) -> None:
    """One line a scenario, and 0."""
    code, out, err = run("test", EXAMPLES / "error-burst.test.yaml")
    assert (code, err) == (0, "")
    *lines, last = out.splitlines()
    assert all(line.startswith(f"ok     {EXAMPLES}/error-burst.test.yaml:") for line in lines)
    assert last == f"{len(lines)} passed, 0 failed, 0 errors"


def test_a_failure_shows_what_was_expected_and_what_was_found(run: Run, tmp_path: Path) -> None:
    """A scenario that fails, one that passes and a file that is wrong, in one call: 1."""
    file, wrong = tmp_path / "a.test.yaml", tmp_path / "b.test.yaml"
    file.write_text(
        f"{RULE}scenarios:\n"
        "- name: too many\n"
        "  input: [{at: 0s, repeat: 3, service: s}]\n"
        "  expect: {incidents: [{rule: a, service: s, count: 2}]}\n"
        "- {name: none, input: [], expect: {incidents: []}}\n"
    )
    wrong.write_text(f"{RULE}scenarios: 7\n")
    assert run("test", file, wrong) == (
        1,
        (
            f"FAILED {file}:4: too many\n"
            "         incidents:\n"
            "           - s/a: count 2\n"
            "           + s/a: count 3, first 0s, last 2s, status open, previous none\n"
            f"ok     {file}:7: none\n"
            "(- expected, + found, ! could not be done)\n"
            "1 passed, 1 failed, 1 errors\n"
        ),
        f"{wrong}:3:12: scenarios: expected a mapping with name, input, expect; found '7'\n",
    )


def test_test_as_json(run: Run, tmp_path: Path) -> None:
    """For programs: each scenario with its place and its differences."""
    file = tmp_path / "a.test.yaml"
    file.write_text(f"{RULE}scenarios: [{{name: x, input: [], expect: {{incidents: [], late: 1}}}}]")
    code, out, _ = run("test", file, "--json")
    assert (code, json.loads(out)) == (
        1,
        {
            "passed": False,
            "errors": [],
            "scenarios": [
                {
                    "file": str(file),
                    "line": 3,
                    "scenario": "x",
                    "passed": False,
                    "differences": ["late events:", "  - 1", "  + 0"],
                }
            ],
        },
    )


@pytest.mark.parametrize("command", ["check", "test"])
def test_no_file_is_a_wrong_call(run: Run, command: str) -> None:
    """2, as for every command."""
    assert run(command)[0] == 2
