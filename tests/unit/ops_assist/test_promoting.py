"""`ops-assist rules promote`: what it compares, and how it changes a rule file without harming the rest of it."""

import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_assist import promoting
from ops_assist.cli import main
from ops_assist.errors import CommandError
from stream_processor.rule_files import load_rules

BLOCK = """\
# Ours, reviewed each spring.
allowed_lateness: 5m  # shared
rules:
  - name: errors  # the old one
    kind: count
    window: 5m
    threshold: 5
    match:
      levels: [ERROR]
  # On trial since Monday.
  - name: errors-quick
    kind: count
    window: 1m
    shadow: true  # until we know
    threshold: 3
  - {name: other, kind: ratio, share: 0.5, minimum: 10}
"""
PROMOTED = """\
# Ours, reviewed each spring.
allowed_lateness: 5m  # shared
rules:
  # On trial since Monday.
  - name: errors-quick
    kind: count
    window: 1m
    threshold: 3
  - {name: other, kind: ratio, share: 0.5, minimum: 10}
"""


def promoted(file: Path, text: str, replaces: str = "") -> str:
    """The text of a file after the promotion of `errors-quick`."""
    file.write_text(text)
    promotion = promoting.find(load_rules([file]), "errors-quick", replaces)
    assert promoting.write([file], promotion) == [file]
    return file.read_text()


def test_a_promotion_changes_its_lines_and_no_others(tmp_path: Path) -> None:
    """Comments and order stay; the one rule of the same kind is the one that is replaced."""
    assert promoted(tmp_path / "rules.yaml", BLOCK) == PROMOTED


def test_a_promotion_may_replace_nothing(tmp_path: Path) -> None:
    """Only the mark goes."""
    expected = BLOCK.replace("    shadow: true  # until we know\n", "")
    assert promoted(tmp_path / "rules.yaml", BLOCK, promoting.NONE) == expected


@pytest.mark.parametrize(
    "item",
    [
        "{shadow: true, name: errors-quick, kind: count, window: 1m, threshold: 3}",
        "{name: errors-quick, shadow: true, kind: count, window: 1m, threshold: 3}",
        "{name: errors-quick, kind: count, window: 1m, threshold: 3, shadow: true}",
        "shadow: true\n  name: errors-quick\n  kind: count\n  window: 1m\n  threshold: 3",
        "name: errors-quick\n  kind: count\n  window: 1m\n  threshold: 3\n  shadow: true",
        "{name: errors-quick,\n   kind: count, window: 1m,\n   shadow: true,\n   threshold: 3}",
    ],
)
def test_the_mark_is_taken_off_wherever_it_stands(tmp_path: Path, item: str) -> None:
    """First, last, on a line of its own or not; the last rule of a file may be the one that goes."""
    text = f"rules:\n- {item}\n- name: errors\n  kind: count\n  window: 5m\n  threshold: 5"
    found = promoted(tmp_path / "rules.yaml", text)
    assert "shadow" not in found
    assert [rule.name for rule in load_rules([tmp_path / "rules.yaml"]).rules] == ["errors-quick"]


def test_what_cannot_be_changed_safely_is_left_to_people(tmp_path: Path) -> None:
    """An anchor that another rule needs; nothing is written, and no passing file is left."""
    text = (
        "rules:\n- {name: errors, kind: count, window: &w 5m, threshold: 5}\n"
        "- {name: errors-quick, kind: count, window: *w, threshold: 3, shadow: true}\n"
    )
    file = tmp_path / "rules.yaml"
    with pytest.raises(CommandError, match="remove rule errors by hand"):
        promoted(file, text)
    assert file.read_text() == text
    assert list(tmp_path.iterdir()) == [file]


def test_a_promotion_reaches_into_two_files_of_a_directory(tmp_path: Path) -> None:
    """The mark in one, the replaced rule in the other."""
    old = "rules:\n- {name: errors, kind: count, window: 5m, threshold: 5}\n- {name: b, kind: absence, window: 5m}\n"
    (tmp_path / "a.yaml").write_text(old)
    (tmp_path / "b.yaml").write_text(
        "rules:\n- {name: errors-quick, kind: count, window: 1m, threshold: 3, shadow: true}\n"
    )
    promotion = promoting.find(load_rules([tmp_path]), "errors-quick", "")
    promoting.write([tmp_path], promotion)
    assert [(rule.name, rule.shadow) for rule in load_rules([tmp_path]).rules] == [
        ("b", False),
        ("errors-quick", False),
    ]


@pytest.mark.parametrize(
    ("name", "replaces", "said"),
    [
        ("errors", "", "no rule errors has shadow: true; on trial are: errors-quick"),
        ("errors-quick", "nothing", "in force are: errors, other"),
    ],
)
def test_what_is_not_clear_is_asked_for(tmp_path: Path, name: str, replaces: str, said: str) -> None:
    """With the names that are there."""
    (tmp_path / "rules.yaml").write_text(BLOCK)
    with pytest.raises(CommandError, match=said):
        promoting.find(load_rules([tmp_path / "rules.yaml"]), name, replaces)


@given(
    before=st.lists(st.sampled_from(["a", "b", "c"]), max_size=3, unique=True),
    after=st.lists(st.sampled_from(["d", "e"]), max_size=2, unique=True),
    flow=st.lists(st.booleans(), min_size=7, max_size=7),
)
def test_of_any_file_only_the_two_rules_change(
    tmp_path_factory: pytest.TempPathFactory, before: list[str], after: list[str], flow: list[bool]
) -> None:
    """Whatever stands around them, in one form or the other; what cannot be done would be an error."""
    names = [*before, "errors", *after, "errors-quick"]
    marks = {"errors-quick": {"shadow": "true"}}
    items = [_item(name, marks.get(name, {}), is_flow=one) for name, one in zip(names, flow, strict=False)]
    file = tmp_path_factory.mktemp("rules") / "rules.yaml"
    found = promoted(file, "rules:\n" + "".join(items), "errors")
    kept = [one.replace(", shadow: true", "").replace("  shadow: true\n", "") for one in items if "errors, " not in one]
    assert found == "rules:\n" + "".join(one for one in kept if "name: errors\n" not in one)


def _item(name: str, more: dict[str, str], *, is_flow: bool) -> str:
    fields = {"name": name, "kind": "count", "window": "1m", "threshold": "3"} | more
    if is_flow:
        return f"- {{{', '.join(f'{key}: {value}' for key, value in fields.items())}}}\n"
    return "- " + "  ".join(f"{key}: {value}\n" for key, value in fields.items())


def test_the_command_compares_and_changes_nothing_unless_it_is_told_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Three errors in a minute: an incident of the rule on trial, none of the other."""
    rules, events = tmp_path / "rules.yaml", tmp_path / "events.jsonl"
    rules.write_text(BLOCK)
    event = {"service": "checkout", "level": "ERROR", "message": "boom"}
    events.write_text("".join(json.dumps(event | {"timestamp": f"2026-01-01T00:00:{n:02}Z"}) + "\n" for n in (1, 2, 3)))

    def promote(*more: str) -> tuple[dict[str, object], str]:
        arguments = ["errors-quick", str(events), "--rules", str(rules), "--json", "--jobs", "1", *more]
        monkeypatch.setattr(sys, "argv", ["ops-assist", "rules", "promote", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 0
        out, err = capfd.readouterr()
        return json.loads(out), err

    told, said = promote()
    comparison = told["comparison"]
    assert isinstance(comparison, dict)
    assert (len(comparison["added"]), comparison["lost"], comparison["same"]) == (1, [], 0)
    assert "with --yes" in said
    assert rules.read_text() == BLOCK
    assert "in earnest now" in promote("--yes")[1]
    assert rules.read_text() == PROMOTED
