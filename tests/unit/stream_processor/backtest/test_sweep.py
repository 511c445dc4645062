"""A sweep is many backtests at once: the same findings as each alone, and a knee that a person can follow."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.timestamps import MICROSECONDS
from stream_processor.backtest.file_log import FileLog
from stream_processor.backtest.findings import Findings, Found
from stream_processor.backtest.labels import Label, Labels
from stream_processor.backtest.rule_run import RuleRun
from stream_processor.backtest.sweep import (
    Axis,
    Grid,
    InvalidSweep,
    days_between,
    grid,
    looks_like_axis,
    outcome,
    parse_axis,
)
from stream_processor.rules import CountRule, RuleSet
from tests.unit.stream_processor.backtest.test_backtest_against_live import (
    ERRORS,
    EVERY_KIND,
    RULES,
    Event,
    cut,
    events,
    from_blocks,
    lines,
)

MINUTE = 60 * MICROSECONDS


@settings(max_examples=60, deadline=None)
@given(
    made=events(),
    cuts=st.lists(st.integers(1, 9), min_size=1, max_size=5),
    thresholds=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    windows=st.lists(st.sampled_from([0, 5, 60, 200, 700]), min_size=1, max_size=3),
    rules=st.sampled_from([RULES, RULES, EVERY_KIND]),
)
def test_a_sweep_gives_what_separate_backtests_give(
    made: list[Event], cuts: list[int], thresholds: list[int], windows: list[int], rules: RuleSet
) -> None:
    """Incidents, near misses and how each event ended, with windows shorter and longer than the allowed lateness."""
    axes = [
        Axis("threshold", tuple(sorted(set(thresholds)))),
        Axis("window", tuple(sorted({second * MICROSECONDS for second in windows}))),
    ]
    of = grid(rules, axes, "burst" if rules is RULES else "error-burst")
    runs = [RuleRun(one) for one in (rules, rules, *of.rule_sets)]
    log = FileLog(runs)
    for block in cut(lines(made), cuts):
        log.take(block)

    alone = [from_blocks(one, [b"".join(lines(made))]) for one in (rules, rules, *of.rule_sets)]
    assert [sorted_findings(run.findings()) for run in runs] == [sorted_findings(one) for one in alone]


def sorted_findings(found: Findings) -> tuple[Any, ...]:
    return (
        sorted(found.incidents, key=lambda one: one.key),
        sorted(found.near_misses, key=repr),
        {reason: count for reason, count in found.ledger.items() if count},
    )


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("threshold=2..5", (2, 3, 4, 5)),
        ("threshold=1..100", (*range(1, 100, 5), 100)),
        ("threshold=5..20/10", (5, 15, 20)),
        ("threshold=9,3,3", (3, 9)),
        ("window=1m..10m", tuple(n * MINUTE for n in (1, 2, 3, 5, 10))),
        ("window=90s..4m", tuple(n * MINUTE // 2 for n in (3, 4, 6, 8))),
        ("quiet_period=5m..15m/5m", tuple(n * MINUTE for n in (5, 10, 15))),
    ],
)
def test_an_axis_is_written_as_a_range_or_a_list(text: str, values: tuple[int, ...]) -> None:
    """Ascending, each value once, with both ends."""
    assert parse_axis(text).values == values
    assert looks_like_axis(text)


@pytest.mark.parametrize(
    "text", ["", "level=1..2", "threshold=0..3", "threshold=5..2", "window=1..2", "threshold=1..9999/1", "window=x"]
)
def test_what_is_no_axis_says_what_is_taken(text: str) -> None:
    """With an example."""
    with pytest.raises(InvalidSweep, match=r"threshold|window|axis"):
        parse_axis(text)
    assert not looks_like_axis("events=2.jsonl")


def test_a_grid_is_of_one_rule_of_kind_count() -> None:
    """Which one is asked for where there are several; too many combinations are refused before anything is read."""
    with pytest.raises(InvalidSweep, match=r"--sweep-rule \(burst, warnings\)"):
        grid(RULES, [parse_axis("threshold=2..3")])
    with pytest.raises(InvalidSweep, match="1,200 combinations"):
        grid(RULES, [parse_axis("threshold=1..60/1"), parse_axis("window=1s..20s/1s")], "burst")
    with pytest.raises(InvalidSweep, match="one or two axes"):
        grid(RULES, [parse_axis("threshold=2"), parse_axis("threshold=3")], "burst")
    of = grid(RULES, [parse_axis("threshold=2,4")], "warnings")
    assert [rules.rules[1].threshold for rules in of.rule_sets] == [2, 4]
    assert all(rules.rules[0] == RULES.rules[0] for rules in of.rule_sets)


def test_the_knee_is_where_more_incidents_stop_paying() -> None:
    """Of (incidents, faults found) (1, 0) (3, 3) (7, 4) (12, 5), the second; (9, 4) is beaten and no candidate."""
    labels = Labels([Label("a", 10 * n, 10 * n + 5) for n in range(5)])
    counts = [(12, 5), (9, 4), (7, 4), (3, 3), (1, 0)]
    swept = outcome(a_grid(len(counts)), [found(*one) for one in counts], 2.0, labels)

    assert [swept.cells[place].incidents for place in swept.frontier] == [1, 3, 7, 12]
    assert swept.knee == 3
    assert swept.cells[3].per_day == 1.5


def test_there_is_no_knee_without_labels() -> None:
    """Nothing tells what fewer incidents lose."""
    swept = outcome(a_grid(1), [found(3, 0)], 1.0, None)
    assert (swept.frontier, swept.knee, swept.cells[0].scores) == ([], None, None)


def test_of_equal_knees_the_one_with_fewer_incidents_is_named() -> None:
    """A frontier of one cell is its own knee; a straight one begins with it."""
    labels = Labels([Label("a", 10 * n, 10 * n + 5) for n in range(5)])
    assert outcome(a_grid(2), [found(2, 2), found(1, 1)], 1.0, labels).knee == 1
    assert outcome(a_grid(2), [found(2, 1), found(1, 1)], 1.0, labels).knee == 1


def test_an_hour_of_events_is_not_extrapolated_to_a_day() -> None:
    """Days are at least one; nothing is no day less."""
    assert days_between(0, 3_600 * MICROSECONDS) == 1.0
    assert days_between(0, 36 * 3_600 * MICROSECONDS) == 1.5
    assert days_between(None, None) == 1.0


def a_grid(cells: int) -> Grid:
    rules = RuleSet((CountRule("r", ERRORS, 3, MINUTE, MINUTE),), MINUTE)
    return grid(rules, [Axis("threshold", tuple(range(1, cells + 1)))])


def found(incidents: int, faults: int) -> Findings:
    """So many incidents, so many of them in a fault of their own."""
    times = [10 * n for n in range(faults)] + [1_000 + n for n in range(incidents - faults)]
    return Findings([Found(str(at), "a", "r", "open", 5, at, at, at, 0, "") for at in times])
