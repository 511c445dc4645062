"""Scenario files: what they play, what they compare, and what is said about the wrong ones."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_processor.faults import InvalidFiles
from stream_processor.near_misses import NearMisses, fullest_window, is_near
from stream_processor.rule_files import load_rules
from stream_processor.rules import CountRule
from stream_processor.scenario_files import load_scenarios
from stream_processor.scenario_results import Verdict, judge
from stream_processor.span import Item

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"
RULES = "rules: [{name: burst, kind: count, window: 1m, threshold: 5, quiet_period: 10m}]\nallowed_lateness: 1m\n"


def verdict_of(tmp_path: Path, steps: str, expect: str) -> Verdict:
    """The verdict on one scenario with the rule `burst`: 5 within a minute, 10 minutes of quiet, a minute late."""
    file = tmp_path / "case.test.yaml"
    file.write_text(f"{RULES}scenarios:\n- name: case\n  input: {steps}\n  expect: {expect}\n")
    loaded = load_scenarios(file)
    return judge(loaded.file, loaded.scenarios[0], loaded.rules)


def faults_of(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "t.yaml"
    file.write_text(text)
    with pytest.raises(InvalidFiles) as invalid:
        load_scenarios(file)
    return [str(fault).removeprefix(f"{tmp_path}/") for fault in invalid.value.faults]


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.test.yaml")), ids=lambda file: file.name)
def test_the_examples_pass(file: Path) -> None:
    """What the documentation shows is so."""
    loaded = load_scenarios(file)
    assert loaded.scenarios
    for scenario in loaded.scenarios:
        assert judge(loaded.file, scenario, loaded.rules).differences == []


def test_the_page_shows_what_works(tmp_path: Path) -> None:
    """The rule file and the scenario file of docs/rules.md, as they stand there."""
    rules, scenarios = re.findall(r"```yaml\n(.*?)```", (EXAMPLES.parent / "rules.md").read_text(), re.DOTALL)
    (tmp_path / "rules.yaml").write_text(rules)
    assert load_rules([tmp_path]).rules == load_rules([EXAMPLES / "error-burst.yaml"]).rules[1:]
    (tmp_path / "page.test.yaml").write_text(scenarios)
    (tmp_path / "error-burst.yaml").write_text((EXAMPLES / "error-burst.yaml").read_text())
    loaded = load_scenarios(tmp_path / "page.test.yaml")
    assert [judge(loaded.file, scenario, loaded.rules).differences for scenario in loaded.scenarios] == [[]]


FIVE = "{at: 0s, repeat: 5, every: 2s, service: a}"


def test_every_field_of_an_incident_is_compared(tmp_path: Path) -> None:
    """Count, first, last, status and previous, each on its own."""
    right = {"count": "5", "first": "0s", "last": "8s", "status": "open", "previous": "none"}
    wrong = {"count": "4", "first": "1s", "last": "9s", "status": "closed", "previous": "0s"}
    for name, value in right.items():
        expect = f"{{incidents: [{{rule: burst, service: a, {name}: {value}}}]}}"
        assert verdict_of(tmp_path, f"[{FIVE}]", expect).passed
        unlike = verdict_of(tmp_path, f"[{FIVE}]", expect.replace(f"{name}: {value}", f"{name}: {wrong[name]}"))
        assert unlike.differences == [
            "incidents:",
            f"  - a/burst: {name} {wrong[name]}",
            "  + a/burst: count 5, first 0s, last 8s, status open, previous none",
        ]


def test_incidents_that_nobody_expects_fail_a_scenario(tmp_path: Path) -> None:
    """The list is whole: nothing more, nothing less."""
    assert verdict_of(tmp_path, f"[{FIVE}]", "{incidents: []}").differences == [
        "incidents:",
        "  + a/burst: count 5, first 0s, last 8s, status open, previous none",
    ]
    missing = verdict_of(tmp_path, "[]", "{incidents: [{rule: burst, service: a}]}")
    assert missing.differences == ["incidents:", "  - a/burst: any"]


def test_late_events_and_duplicates_are_counted(tmp_path: Path) -> None:
    """Compared where they are given."""
    steps = "[{at: 5m, service: a, id: x}, {at: 5m, service: a, id: x}, {at: 1s, service: a}]"
    assert verdict_of(tmp_path, steps, "{incidents: [], late: 1, duplicates: 1}").passed
    assert verdict_of(tmp_path, steps, "{incidents: []}").passed
    assert verdict_of(tmp_path, steps, "{incidents: [], late: 0, duplicates: 2}").differences == [
        *("late events:", "  - 0", "  + 1"),
        *("duplicates:", "  - 2", "  + 1"),
    ]


def test_people_work_incidents(tmp_path: Path) -> None:
    """Each verb sets its status; what cannot be done fails the scenario and says why."""
    for verb, status in (("investigate", "investigating"), ("resolve", "resolved"), ("close", "closed")):
        steps = f"[{FIVE}, {{{verb}: a/burst, at: 1m}}]"
        assert verdict_of(tmp_path, steps, f"{{incidents: [{{rule: burst, service: a, status: {status}}}]}}").passed
    reopened = f"[{FIVE}, {{resolve: a/burst}}, {{reopen: a/burst}}, {{at: 10s, service: a}}]"
    assert verdict_of(tmp_path, reopened, "{incidents: [{rule: burst, service: a, status: open, count: 6}]}").passed

    refused = f"[{FIVE}, {{close: a/burst}}, {{reopen: a/burst}}, {{resolve: b/burst}}]"
    assert verdict_of(tmp_path, refused, "{incidents: [{rule: burst, service: a}]}").differences == [
        "! scenarios[0].input[2]: a/burst: The incident is closed, which is final; open a new one instead",
        "! scenarios[0].input[3]: there is no incident of b/burst yet",
    ]


def test_quiet_comes_by_event_time_and_by_the_clock(tmp_path: Path) -> None:
    """A wait moves the clock alone; an event from within the quiet period stirs the incident again."""
    incident = "{{incidents: [{{rule: burst, service: a, status: {}, count: {}}}]}}"
    assert verdict_of(tmp_path, f"[{FIVE}, {{wait: 9m}}]", incident.format("open", 5)).passed
    assert verdict_of(tmp_path, f"[{FIVE}, {{wait: 11m}}]", incident.format("resolved", 5)).passed
    stirred = f"[{FIVE}, {{wait: 11m}}, {{at: 20s, service: a}}]"
    assert verdict_of(tmp_path, stirred, incident.format("open", 6)).passed
    passed_by = f"[{FIVE}, {{at: 12m, service: a, level: INFO}}]"
    assert verdict_of(tmp_path, passed_by, incident.format("resolved", 5)).passed


def test_incidents_that_late_events_join_are_one(tmp_path: Path) -> None:
    """A gap that is closed leaves one incident; its follower's `previous` is the one that is left."""
    rules = "rules: [{name: burst, kind: count, window: 1s, threshold: 2, quiet_period: 1m}]\nallowed_lateness: 1h\n"
    file = tmp_path / "merge.test.yaml"
    steps = "[{at: 0s, repeat: 2, service: a}, {at: 90s, repeat: 2, service: a}, {at: 10m, repeat: 2, service: a}]"
    more = steps.replace("]", ", {at: 45s, service: a}]")
    file.write_text(
        f"{rules}scenarios:\n"
        f"- {{name: two, input: {steps}, expect: {{incidents: ["
        "{rule: burst, service: a, first: 0s}, {rule: burst, service: a, first: 90s, previous: 0s},"
        "{rule: burst, service: a, first: 10m, previous: 90s}]}}\n"
        f"- {{name: one, input: {more}, expect: {{incidents: ["
        "{rule: burst, service: a, first: 0s, last: 91s, count: 5}, {rule: burst, service: a, previous: 0s}]}}\n"
    )
    loaded = load_scenarios(file)
    verdicts = [judge(loaded.file, scenario, loaded.rules) for scenario in loaded.scenarios]
    assert [(v.scenario, v.line, v.differences) for v in verdicts] == [("two", 4, []), ("one", 5, [])]


def test_near_misses_are_found(tmp_path: Path) -> None:
    """Four of five within the window, once for each group, and not where an incident took them in."""
    steps = "[{at: 0s, repeat: 4, service: a}, {at: 5m, repeat: 3, service: a}, {at: 10m, repeat: 4, service: a}]"
    misses = "{rule: burst, service: a, count: 4, first: 0s, last: 3s}, {rule: burst, service: a, first: 10m}"
    assert verdict_of(tmp_path, steps, f"{{incidents: [], near_misses: [{misses}]}}").passed
    assert verdict_of(tmp_path, steps, "{incidents: []}").passed
    assert verdict_of(tmp_path, steps, "{incidents: [], near_misses: []}").differences == [
        "near misses:",
        "  + a/burst: count 4, first 0s, last 3s",
        "  + a/burst: count 4, first 10m, last 10m3s",
    ]
    scattered = "[{at: 0s, repeat: 3, every: 30s, service: a}, {at: 121s, repeat: 4, service: a}]"
    close = "{incidents: [], near_misses: [{rule: burst, service: a, count: 4, last: 124s}]}"
    assert verdict_of(tmp_path, scattered, close).passed
    made_full = "[{at: 0s, repeat: 4, service: a}, {at: 30s, service: a}]"
    assert verdict_of(tmp_path, made_full, "{incidents: [{rule: burst, service: a}], near_misses: []}").passed


@pytest.mark.parametrize(("count", "threshold"), [(4, 5), (8, 10), (9, 10), (9, 11), (80, 100)])
def test_eighty_percent_is_near(count: int, threshold: int) -> None:
    """From there on, but not the threshold itself."""
    assert is_near(count, threshold)
    assert not is_near((threshold * 4 - 1) // 5, threshold)
    assert not is_near(threshold, threshold)


@settings(max_examples=100, deadline=None)
@given(times=st.lists(st.integers(0, 60), min_size=1, max_size=30), window=st.integers(0, 30), data=st.data())
def test_the_fullest_window_is_the_best_of_all(times: list[int], window: int, data: st.DataObject) -> None:
    """No window of that length around the event holds more."""
    loose = sorted(Item(time, n, 0) for n, time in enumerate(times))
    item = data.draw(st.sampled_from(loose))
    found = fullest_window(loose, item, window)
    starts = range(item.time - window, item.time + 1)
    assert item in found
    assert found[-1].time - found[0].time <= window
    assert len(found) == max(sum(start <= other.time <= start + window for other in loose) for start in starts)


def test_a_fuller_window_takes_the_place_of_one_that_it_overlaps() -> None:
    """One group of events is one near miss: the fullest, whatever the order of arrival."""
    rule = CountRule("r", ("ERROR",), 10, 10, 0)
    near, loose = NearMisses(), sorted(Item(time, time, 0) for time in range(9))
    for known in (8, 9):
        near.note("a", rule, loose[:known], loose[known - 1])
    near.note("a", rule, loose[1:], loose[4])
    assert [(miss.count, miss.first, miss.last) for miss in near.found()] == [(9, 0, 8)]


CASE = "scenarios:\n- name: x\n  expect: {incidents: []}\n  input:\n  - "


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (f"{CASE}{{at: 0s, service: a}}", "t.yaml:1:1: file: expected rules (a list of at least one rule) or rule_fil"),
        (f"{RULES}scenarios: []", "t.yaml:3:12: scenarios: expected at least one scenario; found none"),
        (RULES, "t.yaml:1:1: scenarios: is required: a list of scenarios"),
        (f"{RULES}scenarios: [{{name: x}}]", "t.yaml:3:13: scenarios[0].input: is required: a list of events, "),
        (f"{RULES}{CASE}{{service: a}}", "t.yaml:7:5: scenarios[0].input[0].at: is required: the event time, as 10s"),
        (f"{RULES}{CASE}{{at: 0s, servce: a}}", "t.yaml:7:5: scenarios[0].input[0].service: is required: a text"),
        (
            f"{RULES}{CASE}{{at: 0s, service: a, repeat: 0}}",
            "t.yaml:7:34: scenarios[0].input[0].repeat: expected a whole",
        ),
        (
            f"{RULES}{CASE}{{at: 0s, service: a, level: OOPS}}",
            "t.yaml:7:33: scenarios[0].input[0].level: expected one of",
        ),
        (f"{RULES}{CASE}{{resolve: a}}", "t.yaml:7:15: scenarios[0].input[0].resolve: expected service/rule, as "),
        (f"{RULES}{CASE}{{wait: long}}", "t.yaml:7:12: scenarios[0].input[0].wait: expected a duration from 0s"),
        (
            f"{RULES}{CASE}{{wait: 1s, at: 5s}}",
            "t.yaml:7:16: scenarios[0].input[0].at: is no known field; known are wait",
        ),
        ("rule_files: [no.yaml]\nscenarios: [x]", "no.yaml:1:1: file: expected a file that can be read: No such file"),
    ],
)
def test_a_fault_has_its_exact_place(text: str, fault: str, tmp_path: Path) -> None:
    """As in rule files, and the faults of the rule files that are named."""
    assert any(found.startswith(fault) for found in faults_of(tmp_path, text)), faults_of(tmp_path, text)


def test_expectations_are_checked(tmp_path: Path) -> None:
    """Unknown statuses, negative counts and fields that a near miss does not have."""
    expect = (
        "{incidents: [{rule: burst, service: a, status: done}], near_misses: [{rule: B, service: a, status: open}], "
        "late: -1}"
    )
    text = f"{RULES}scenarios: [{{name: x, input: [], expect: {expect}}}]"
    assert [fault.split(": ", 2)[1] for fault in faults_of(tmp_path, text)] == [
        "scenarios[0].expect.incidents[0].status",
        "scenarios[0].expect.near_misses[0].rule",
        "scenarios[0].expect.near_misses[0].status",
        "scenarios[0].expect.late",
    ]


def test_a_scenario_has_a_most_of_events(tmp_path: Path) -> None:
    """A typing error in `repeat` does not take the machine's memory."""
    text = f"{RULES}{CASE}{{at: 0s, service: a, repeat: 100000}}\n  - {{at: 0s, service: a}}"
    assert faults_of(tmp_path, text)[0].startswith("t.yaml:7:3: scenarios[0].input: expected at most 100,000 events")
