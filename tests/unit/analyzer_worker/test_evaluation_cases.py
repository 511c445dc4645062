"""The labelled cases: enough of them, with sources, in a split that nobody moves, and files with clear errors."""

import hashlib
import json
from pathlib import Path

import msgspec
import pytest

from analyzer_worker.evaluation.cases import SPLITS, InvalidCases, bundled_cases, load_cases, split_of
from analyzer_worker.evaluation.incidents import COUNTED, MAX_SAMPLES, to_incident
from schemas.analysis import CATEGORIES, SEVERITIES

GOOD = {
    "id": "mine-1",
    "service": "shop",
    "events": [{"level": "error", "message": "no space left on device", "attributes": {"zone": "b"}}],
    "category": "disk_issue",
    "severity": "P1",
    "source": "corrected by an SRE",
}
TEST_CASES = "0544f3e88c53f42e9ddb4f09cb7d7dcc67e54a14f91a330df99a50281ff96c9c"
"""SHA-256 of the cases kept for testing: who changes one of them says so here."""


def test_there_are_enough_cases_of_every_category() -> None:
    """At least 120 in all, ten of each category, some of each in both splits."""
    cases = bundled_cases()
    assert len(cases) >= 120
    for category in CATEGORIES:
        own = [case for case in cases if case.category == category]
        assert len(own) >= 10
        assert all(sum(case.split == split for case in own) >= 4 for split in SPLITS)
    assert {case.severity for case in cases} == set(SEVERITIES)


def test_every_case_is_noisy_and_names_its_source() -> None:
    """Five to thirty events of several templates and levels, and where their form comes from."""
    for case in bundled_cases():
        assert 5 <= len(case.events) <= 30
        assert len({event.message for event in case.events}) >= 3
        kind, _, where = case.source.partition(": ")
        assert kind in ("log template", "post-mortem", "documentation")
        assert len(where) > 20
        assert kind != "post-mortem" or "http" in where


def test_the_split_is_fixed_by_the_ids() -> None:
    """No case can be moved, and those for testing are as they were before patterns were written."""
    cases = bundled_cases()
    assert all(case.split == split_of(case.id) for case in cases)
    kept = sorted((case for case in cases if case.split == "test"), key=lambda case: case.id)
    assert hashlib.sha256(msgspec.json.encode(kept)).hexdigest() == TEST_CASES


def test_an_analyzer_sees_of_a_case_what_the_pipeline_would_show_it() -> None:
    """The first events that count, at most twenty; the others only in the service's counts."""
    for case in bundled_cases():
        incident, samples = to_incident(case)
        counted = [event for event in case.events if event.severity_level in COUNTED]
        assert len(counted) >= 5
        assert [sample.text for sample in samples] == [event.message for event in counted[:MAX_SAMPLES]]
        assert incident.event_count == len(counted)
        assert sum(sum(minute.by_level.values()) for minute in incident.minutes) == len(case.events)


def test_a_case_of_warnings_alone_counts_them_all(tmp_path: Path) -> None:
    """A rule for warnings must have opened it."""
    file = tmp_path / "own.jsonl"
    file.write_text(json.dumps(GOOD | {"events": [{"level": "WARN", "message": f"m{n}"} for n in range(3)]}))
    _, samples = to_incident(load_cases([file])[0])
    assert [(sample.level, sample.text) for sample in samples] == [("WARNING", f"m{n}") for n in range(3)]


def test_a_file_of_ones_own_is_read(tmp_path: Path) -> None:
    """The form of exported corrections; empty lines do not matter."""
    file = tmp_path / "own.jsonl"
    file.write_text(f"\n{json.dumps(GOOD)}\n\n{json.dumps(GOOD | {'id': 'mine-2', 'split': 'test'})}\n")
    assert [(case.id, case.split) for case in load_cases([file])] == [("mine-1", None), ("mine-2", "test")]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "is not one JSON object"),
        ("[]", "the case: Expected `object`"),
        (json.dumps(GOOD | {"category": "disc"}), "category: Invalid enum value 'disc'; one of database_issue, "),
        (json.dumps(GOOD | {"severity": "P4"}), "severity: Invalid enum value 'P4'; one of P1, P2, P3"),
        (json.dumps(GOOD | {"events": []}), "events: Expected `array` of length >= 1"),
        (json.dumps(GOOD | {"events": [{"level": "LOUD", "message": "x"}]}), "'LOUD' is no level"),
        (json.dumps(GOOD | {"events": [{"level": "ERROR"}]}), "events[0]: Object missing required field `message`"),
        (json.dumps(GOOD | {"categroy": "x"}), "Object contains unknown field `categroy`"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, line: str, said: str) -> None:
    """File, line, field, and what may stand there."""
    file = tmp_path / "own.jsonl"
    file.write_text(f"{json.dumps(GOOD)}\n{line}\n")
    with pytest.raises(InvalidCases) as caught:
        load_cases([file])
    assert caught.value.faults[0].startswith(f"{file}:2: ")
    assert said in caught.value.faults[0]


def test_all_faults_of_all_files_are_told(tmp_path: Path) -> None:
    """A second id, an empty file, a missing file and a file that is no text, at once."""
    twice, empty, binary = tmp_path / "twice.jsonl", tmp_path / "empty.jsonl", tmp_path / "binary.jsonl"
    twice.write_text(f"{json.dumps(GOOD)}\n{json.dumps(GOOD)}\n")
    empty.write_text("\n")
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidCases) as caught:
        load_cases([twice, empty, tmp_path / "none.jsonl", binary])
    assert caught.value.faults == [
        f"{tmp_path}/none.jsonl: cannot be read: No such file or directory",
        f"{binary}: cannot be read: it is not UTF-8 text",
        f"{twice}:2: id 'mine-1' was given already at {twice}:1",
        f"{empty}: holds no case; one JSON object a line is expected",
    ]
