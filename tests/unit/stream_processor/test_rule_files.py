"""Rule files: what they give, and what is said about the wrong ones."""

import string
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.settings import load_settings
from stream_processor.faults import Fault, InvalidFiles
from stream_processor.matching import Match
from stream_processor.rule_files import RULES_FIELDS, RuleReader, load_rules, rules_in_force
from stream_processor.rules import (
    AbsenceRule,
    CountRule,
    PatternRule,
    RateRule,
    RatioRule,
    Rule,
    RuleSet,
    rules_from_settings,
)
from stream_processor.yaml_nodes import MAX_FILE_BYTES, parse_yaml

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"
SECOND = 1_000_000
SMALL = "- {name: a, kind: count, window: 1m, threshold: 2}\n"


def read(content: str | bytes) -> RuleSet:
    """The rules of one file named f.yaml."""
    reader = RuleReader()
    top = parse_yaml(content.encode() if isinstance(content, str) else content, "f.yaml", reader.faults)
    if top is not None:
        reader.read(top.fields(RULES_FIELDS, required=("rules",)))
    return reader.finish()


def faults_of(content: str | bytes) -> list[str]:
    with pytest.raises(InvalidFiles) as invalid:
        read(content)
    assert str(invalid.value) == "\n".join(map(str, invalid.value.faults))
    return [str(fault) for fault in invalid.value.faults]


def test_a_file_gives_its_rules_in_order() -> None:
    """The example of the documentation, field by field."""
    rules = load_rules([EXAMPLES / "error-burst.yaml"])
    assert rules.allowed_lateness == 600 * SECOND
    assert rules.rules == (
        CountRule(
            *("error-burst", ("ERROR", "CRITICAL", "FATAL"), 5, 300 * SECOND, 3_600 * SECOND),
            allowed_lateness=600 * SECOND,
        ),
        CountRule(
            "payment-timeouts",
            ("WARNING", "ERROR", "CRITICAL", "FATAL"),
            3,
            90 * SECOND,
            1_800 * SECOND,
            "P2",
            Match(("payment-*", "checkout"), ("*-canary",), (("region", ("eu-1", "eu-2")),), "(?i)time[d ]*out"),
            600 * SECOND,
        ),
    )


def test_the_example_holds_the_default_rule() -> None:
    """error-burst as a file is the rule that is in force without one."""
    assert load_rules([EXAMPLES / "error-burst.yaml"]).rules[0] == rules_from_settings(load_settings()).rules[0]


def test_what_is_left_out_has_defaults() -> None:
    """The levels of errors, every service, an hour of quiet, no floor, ten minutes of lateness."""
    rules = read(f"rules:\n{SMALL}")
    errors = ("ERROR", "CRITICAL", "FATAL")
    assert rules.rules == (
        CountRule("a", errors, 2, 60 * SECOND, 3_600 * SECOND, allowed_lateness=600 * SECOND),  # type: ignore[arg-type]
    )
    assert rules.allowed_lateness == 600 * SECOND


def test_levels_are_folded_and_a_single_value_is_a_list() -> None:
    """Any case, any alias, as events may have them; services without include are globs."""
    match = "match: {levels: [fatal, err, Error], services: 'a*', attributes: {code: 5.5, up: true, at: '12:00'}}"
    rule = read(f"rules: [{{name: a, kind: count, window: 1m, threshold: 2, {match}}}]").rules[0]
    assert rule.levels == ("ERROR", "FATAL")
    assert rule.match == Match(services=("a*",), attributes=(("code", (5.5,)), ("up", (True,)), ("at", ("12:00",))))


def test_several_files_make_one_set(tmp_path: Path) -> None:
    """Files in the order given; of a directory those that end in .yaml or .yml, by name, without scenarios."""
    (tmp_path / "b.yml").write_text("allowed_lateness: 1m\nrules:\n" + SMALL.replace("name: a", "name: b"))
    (tmp_path / "a.yaml").write_text("allowed_lateness: 60s\nrules:\n" + SMALL)
    (tmp_path / "a.test.yaml").write_text("not a rule file")
    (tmp_path / "README.md").write_text("neither")
    assert [rule.name for rule in load_rules([tmp_path]).rules] == ["a", "b"]
    assert load_rules([tmp_path]).allowed_lateness == 60 * SECOND
    assert [rule.name for rule in load_rules([tmp_path / "b.yml", tmp_path / "a.yaml"]).rules] == ["b", "a"]


def test_every_fault_of_every_file_is_told_at_once(tmp_path: Path) -> None:
    """By file, then from top to bottom, each with line and column."""
    one, two = tmp_path / "1.yaml", tmp_path / "2.yaml"
    one.write_text(f"rules:\n{SMALL}- name: a\n  kind: rates\n  windw: 5m\n  threshold: 0\n")
    two.write_text(f"allowed_lateness: soon\nrules:\n{SMALL}")
    with pytest.raises(InvalidFiles) as invalid:
        load_rules([one, two, tmp_path / "3.yaml"])
    assert str(invalid.value).splitlines() == [
        f"{one}:3:9: rules[1].name: expected a name of its own; {one}:2 has it already",
        (
            f"{one}:4:9: rules[1].kind: expected a kind that is supported (count, rate, ratio, absence, new-pattern); "
            "found 'rates'"
        ),
        f"{one}:5:3: rules[1].windw: is no known field; did you mean window?",
        f"{one}:6:14: rules[1].threshold: expected a whole number from 1 to 10000; found '0'",
        f"{two}:1:19: allowed_lateness: expected a duration from 0s to 1d, as 90s, 5m or 1h30m; found 'soon'",
        f"{two}:3:10: rules[0].name: expected a name of its own; {one}:2 has it already",
        f"{tmp_path}/3.yaml:1:1: file: expected a file that can be read: No such file or directory",
    ]


def test_allowed_lateness_is_one_for_all_files(tmp_path: Path) -> None:
    """Two files that disagree are at fault; a rule may have its own."""
    (tmp_path / "1.yaml").write_text(f"allowed_lateness: 1m\nrules:\n{SMALL}")
    (tmp_path / "2.yaml").write_text("allowed_lateness: 2m\nrules:\n" + SMALL.replace("name: a", "name: b"))
    with pytest.raises(InvalidFiles) as invalid:
        load_rules([tmp_path])
    assert [(f.line, f.column, f.field) for f in invalid.value.faults] == [(1, 19, "allowed_lateness")]
    own = SMALL.replace("threshold: 2", "threshold: 2, allowed_lateness: 1m")
    rules = read(f"allowed_lateness: 10m\nrules:\n{own}{SMALL.replace('name: a', 'name: b')}")
    assert [rule.lateness for rule in rules.rules] == [60 * SECOND, 600 * SECOND]
    assert rules.allowed_lateness == 600 * SECOND, "the greatest, for how long ids are known and what is late for all"
    assert read(f"allowed_lateness: 10m\nrules:\n{own}").allowed_lateness == 60 * SECOND


RULE = "rules:\n- name: a\n  kind: count\n  window: 1m\n  threshold: 2\n"


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("window: 5m", "6:3: rules[0].window: expected once; it is given on line 4 already"),
        ("quiet_period: 300", "6:17: rules[0].quiet_period: expected a duration from 0s to 365d, as 90s, "),
        ("quiet_period: [1h]", "6:17: rules[0].quiet_period: expected a duration from 0s to 365d, as 90s, "),
        ("severity_floor: P4", "6:19: rules[0].severity_floor: expected P1 or P2 or P3; found 'P4'"),
        ("match: [a]", "6:10: rules[0].match: expected a mapping with levels, services, attributes, message; found a "),
        ("match: {level: ERROR}", "6:11: rules[0].match.level: is no known field; did you mean levels?"),
        ("match: {levels: []}", "6:19: rules[0].match.levels: expected at least one; found none"),
        ("match: {levels: [LOUD]}", "6:20: rules[0].match.levels[0]: expected one of DEBUG, INFO, WARNING, "),
        ("match: {services: [no]}", "6:22: rules[0].match.services[0]: expected a text in quotes; found 'no'"),
        ("match: {services: {exclude: [7]}}", "6:32: rules[0].match.services.exclude[0]: expected a text in quotes; "),
        ("match: {attributes: {a: 0777}}", "6:27: rules[0].match.attributes.a: expected a text, a number, true or f"),
        ("match: {attributes: {a: ~}}", "6:27: rules[0].match.attributes.a: expected a text, a number, true or fals"),
        ("match: {attributes: x}", "6:23: rules[0].match.attributes: expected a mapping; found 'x'"),
        (
            "match: {message: '('}",
            "6:20: rules[0].match.message: expected a regular expression that RE2 takes: missing )",
        ),
        ("match: {message: ''}", "6:20: rules[0].match.message: expected a text of 1 to 1000 characters; found 0"),
        ('match: {message: "\\ud800"}', "6:20: rules[0].match.message: expected a text without lone surrogates"),
        ("? [x]\n  : 1", "6:5: rules[0].a list: is no known field; known are name, "),
        ("<<: {window: 1m}", "6:3: rules[0].<<: is no known field; known are name, "),
        ("severity_floor:", "6:18: rules[0].severity_floor: expected a text; found nothing"),
    ],
)
def test_a_fault_has_its_exact_place(line: str, fault: str) -> None:
    """Line and column of the value, or of the name where the name is wrong, and what was expected there."""
    found = faults_of(f"{RULE}  {line}\n")
    assert len(found) == 1
    assert found[0].startswith(f"f.yaml:{fault}")


@pytest.mark.parametrize(
    ("name", "is_good"),
    [("a", True), ("a-1", True), ("a" * 64, True), ("a" * 65, False), ("A", False), ("a_b", False), ("'a b'", False)],
)
def test_names_are_small_letters_digits_and_hyphens(*, name: str, is_good: bool) -> None:
    """1 to 64 of them."""
    text = f"rules:\n{SMALL.replace('name: a', f'name: {name}')}"
    if is_good:
        assert read(text).rules[0].name == name
    else:
        assert faults_of(text)[0].startswith("f.yaml:2:10: rules[0].name: expected 1 to 64 of a-z, 0-9 and -")


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "1:1: file: expected content; the file is empty"),
        (b"- 1", "1:1: file: expected a mapping with rules, allowed_lateness; found a list"),
        (b"rules: []", "1:8: rules: expected a list of at least one rule; found none"),
        (b"allowed_lateness: 1m", "1:1: rules: is required: a list of at least one rule"),
        (b"rules:\n  - a: [", "2:9: file: expected YAML: "),
        (b"a: 1\n\tb: 2", "2:1: file: expected YAML: "),
        (b"a: 1\n---\nb: 2", "2:1: file: expected YAML: but found another document"),
        (b"a: 1\nb: \xff", "2:4: file: expected UTF-8"),
        (b"a: 1\nb: \x07", "2:4: file: expected no character "),
        (b'a: "\\UFFFFFFFF"', "1:"),
        (b"%YAML " + b"9" * 5_000 + b".1\n---\na: 1", "1:"),
        (b"[" * 5_000, "1:"),
        (b"a" * (MAX_FILE_BYTES + 1), "1:1: file: expected at most 1,048,576 bytes"),
        (b"rules: &a [*a]", "1:8: rules[0]: expected a mapping with name, "),
        (b"rules: *nowhere", "1:8: file: expected YAML: found undefined alias"),
        (b"rules: !!python/object/apply:os.abort []", "1:8: rules: expected a list of at least one rule; found none"),
    ],
)
def test_what_is_no_rule_file_is_told_with_its_place(content: bytes, fault: str) -> None:
    """Broken YAML, no YAML, and YAML that wants to break the reader."""
    found = faults_of(content)
    assert len(found) == 1
    assert found[0].startswith(f"f.yaml:{fault}")
    assert "\n" not in found[0]


def test_a_directory_without_rules_is_a_fault(tmp_path: Path) -> None:
    """It would leave the pipeline without detection."""
    with pytest.raises(InvalidFiles, match="expected a file that ends in"):
        load_rules([tmp_path])


def test_rules_in_force_are_the_files_or_the_default(tmp_path: Path) -> None:
    """RULES is the whole truth where it is set; INCIDENT_* make the rule where it is not."""
    (tmp_path / "a.yaml").write_text(f"rules:\n{SMALL}")
    given_rules = rules_in_force(load_settings(rules=tmp_path, incident_threshold=7))
    assert [rule.name for rule in given_rules.rules] == ["a"]
    default = rules_in_force(load_settings(rules=None, incident_threshold=7))
    assert [(rule.name, rule.threshold) for rule in default.rules] == [("error-burst", 7)]


ERRORS: tuple[Any, ...] = ("ERROR", "CRITICAL", "FATAL")
ALL: tuple[Any, ...] = ("DEBUG", "INFO", "WARNING", *ERRORS)
MINUTE, HOUR = 60 * SECOND, 3_600 * SECOND


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        (
            "kind: rate, multiple: 3, floor: 20",
            RateRule(*("a", ERRORS, 1, MINUTE, HOUR), allowed_lateness=10 * MINUTE, multiple=3.0, floor=20),
        ),
        (
            "kind: rate, multiple: 2.5, floor: 0, window: 5m, baseline_windows: 5, allowed_lateness: 0s",
            RateRule(
                *("a", ERRORS, 1, 5 * MINUTE, HOUR),
                allowed_lateness=0,
                multiple=2.5,
                floor=0,
                baseline_windows=5,
                learning_windows=5,
            ),
        ),
        (
            "kind: ratio, share: 0.05, minimum: 100, quiet_period: 0",
            RatioRule(*("a", ERRORS, 1, MINUTE, 0), allowed_lateness=30 * SECOND, share=0.05, minimum=100),
        ),
        (
            "kind: absence, window: 10m, severity_floor: P1",
            AbsenceRule("a", ALL, 10, 10 * MINUTE, 0, "P1", allowed_lateness=10 * MINUTE),
        ),
        (
            "kind: absence, window: 20s, threshold: 1, match: {levels: [info], services: b}",
            AbsenceRule(
                *("a", ("INFO",), 1, 20 * SECOND, 0), match=Match(services=("b",)), allowed_lateness=10 * MINUTE
            ),
        ),
        (
            "kind: new-pattern",
            PatternRule(*("a", ERRORS, 1, 5 * MINUTE, HOUR), allowed_lateness=30 * SECOND, learning_period=HOUR),
        ),
        (
            "kind: new-pattern, window: 10s, threshold: 3, learning_period: 1m, quiet_period: 30m",
            PatternRule(
                *("a", ERRORS, 3, 10 * SECOND, 30 * MINUTE), allowed_lateness=10 * SECOND, learning_period=MINUTE
            ),
        ),
    ],
)
def test_every_kind_has_its_fields_and_defaults(fields: str, rule: Rule) -> None:
    """What each kind takes, and what it is without."""
    assert read(f"rules: [{{name: a, {fields}}}]").rules == (rule,)


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ("kind: count, window: 1m, threshold: 2, share: 1", "1:58: rules[0].share: is a field of kind ratio, not of c"),
        ("kind: rate, multiple: 3, floor: 1, threshold: 2", "1:54: rules[0].threshold: is a field of kind count, abs"),
        ("kind: absence, window: 1m, quiet_period: 1h", "1:46: rules[0].quiet_period: is a field of kind count, rat"),
        ("kind: rate, floor: 1", "1:9: rules[0].multiple: is required: a number above 0, up to 1000: how many times"),
        ("kind: rate, multiple: 0, floor: 1", "1:41: rules[0].multiple: expected a number above 0, up to 1000; found"),
        ("kind: rate, multiple: yes, floor: 1", "1:41: rules[0].multiple: expected a number above 0, up to 1000; fou"),
        ("kind: rate, multiple: 2, floor: -1", "1:51: rules[0].floor: expected a whole number from 0 to 1000000; fo"),
        (
            "kind: rate, multiple: 2, floor: 1, baseline_windows: 5, learning_windows: 6",
            "1:93: rules[0].learning_windows: expected a whole number from 1 to 5; found '6'",
        ),
        (
            "kind: rate, multiple: 2, floor: 1, window: 4s",
            "1:62: rules[0].window: expected an allowed lateness up to 8m for a rule of kind rate with this window; i",
        ),
        ("kind: ratio, minimum: 5, share: 1.1", "1:51: rules[0].share: expected a number above 0, up to 1; found '1.1"),
        ("kind: ratio, share: 1", "1:9: rules[0].minimum: is required: a whole number from 1 to 1000000: events of a"),
        ("kind: absence, window: 19s", "1:42: rules[0].window: expected a duration from 20s to 1d, as 90s, 5m or 1h3"),
        ("kind: absence", "1:9: rules[0].window: is required: a duration from 20s to 1d, as 10m"),
        (
            "kind: new-pattern, allowed_lateness: 6m",
            "1:56: rules[0].allowed_lateness: expected an allowed lateness up to 5m for a rule of kind new-pattern wit",
        ),
        ("kind: count, window: 1m, threshold: 2, allowed_lateness: 2d", "1:76: rules[0].allowed_lateness: expected a "),
        ("kind: count, window: 1m, threshold: 2, learning: 1h", "1:58: rules[0].learning: is no known field; known ar"),
    ],
)
def test_what_does_not_fit_a_kind_is_told_with_its_place(fields: str, fault: str) -> None:
    """The name of a field that another kind has, a value out of bounds, a field that is missing."""
    found = faults_of(f"rules: [{{name: a, {fields}}}]")
    assert len(found) == 1
    assert found[0].startswith(f"f.yaml:{fault}"), found


names = st.sampled_from(
    [*RULES_FIELDS, "name", "kind", "match", "window", "threshold", "levels", "services", "message", "share", "floor"]
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["count", "rate", "ratio", "absence", "new-pattern", "5m"])
)
trees: st.SearchStrategy[Any] = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names | st.text(max_size=5), inner, max_size=5)
)


def assert_gives_rules_or_faults(content: bytes) -> None:
    faults: list[Fault] = []
    try:
        found = len(read(content).rules)
    except InvalidFiles as invalid:
        found, faults = 0, invalid.faults
    assert found or faults
    lines = len(content.decode(errors="replace").splitlines()) + 1
    assert all(1 <= fault.line <= lines and fault.column >= 1 and str(fault).isprintable() for fault in faults)


@settings(max_examples=100, deadline=None)
@given(tree=trees)
def test_any_yaml_gives_rules_or_faults(tree: Any) -> None:
    """Whatever the file holds, no exception but the list of faults comes out."""
    assert_gives_rules_or_faults(yaml.safe_dump(tree, allow_unicode=True).encode("utf-8", "replace"))


@settings(max_examples=200, deadline=None)
@given(content=st.binary(max_size=200) | st.text(string.printable, max_size=200).map(str.encode))
def test_any_bytes_give_rules_or_faults(content: bytes) -> None:
    """The same for what need not be YAML."""
    assert_gives_rules_or_faults(content)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_damaged_rule_file_gives_rules_or_faults(data: st.DataObject) -> None:
    """The example with a few bytes changed."""
    content = bytearray((EXAMPLES / "error-burst.yaml").read_bytes())
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(
            st.sampled_from(b"\"'[]{}:,-#&*!|>%@`\\\n\t x0~?")
        )
    assert_gives_rules_or_faults(bytes(content))
