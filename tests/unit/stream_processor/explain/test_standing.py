"""How near rules of the watching kinds are to an incident."""

from schemas.timestamps import MICROSECONDS
from stream_processor.explain.standing import standing
from stream_processor.kind_states import AbsenceState, Bunch, PatternState, RateState, RatioState, RatioWindow, Template
from stream_processor.rules import AbsenceRule, CountRule, PatternRule, RateRule, RatioRule
from stream_processor.span import Item

MINUTE = 60 * MICROSECONDS


def test_a_rate_tells_its_limit_and_what_it_is_made_of() -> None:
    """The count of the window at hand, and one more than three times the median of those before."""
    rule = RateRule("r", ("ERROR",), 1, MINUTE, 0, multiple=3.0, floor=5, learning_windows=3, allowed_lateness=0)
    own = RateState(0, 0, {0: 2, 1: 4, 2: 6, 3: 7})
    found = standing(rule, own, 3 * MINUTE + 1)
    assert found is not None
    assert (found.count, found.threshold, found.start, found.end) == (7, 13, 3 * MINUTE, 4 * MINUTE)
    assert "3 x the baseline of 4" in found.note


def test_a_rate_that_is_learning_has_no_limit() -> None:
    """Too few windows are known."""
    rule = RateRule("r", ("ERROR",), 1, MINUTE, 0, multiple=3.0, floor=5, learning_windows=3, allowed_lateness=0)
    found = standing(rule, RateState(0, 0, {0: 9}), MINUTE)
    assert found is not None
    assert found.threshold is None
    assert "still learning" in found.note


def test_a_ratio_tells_its_share_of_all_events() -> None:
    """Of at least the minimum."""
    rule = RatioRule("r", ("ERROR",), 1, MINUTE, 0, share=0.5, minimum=10)
    window = RatioWindow(4, Bunch(3, [Item(0, 0, 0)]))
    found = standing(rule, RatioState(0, {0: window}), 5)
    assert found is not None
    assert (found.count, found.threshold) == (3, 5)
    assert "50.0% of 4 events" in found.note


def test_an_absence_tells_whether_the_service_is_missed() -> None:
    """Its events since it was last silent, and when it was last heard."""
    rule = AbsenceRule("r", ("ERROR",), 10, MINUTE, 0)
    found = standing(rule, AbsenceState(0, 7, Item(5, 1, 0), "id", 0), 9)
    assert found is not None
    assert (found.count, found.threshold, found.start, found.end) == (7, 10, 5, 9)
    assert "last heard at 1970-01-01" in found.note


def test_a_new_pattern_tells_the_fullest_template_that_may_be_new() -> None:
    """Those that are over do not count."""
    rule = PatternRule("r", ("ERROR",), 3, MINUTE, 0, learning_period=0)
    own = PatternState(0, 0, {1: Template("a", 0, Bunch(2)), 2: Template("b", 0, Bunch(9), is_over=True)}, [5, 6])
    found = standing(rule, own, MINUTE)
    assert found is not None
    assert (found.count, found.threshold) == (2, 3)
    assert "1 templates may be new, 2" in found.note


def test_count_rules_and_rules_that_have_seen_nothing_stand_nowhere() -> None:
    """The sliding window tells."""
    assert standing(CountRule("r", ("ERROR",), 5, MINUTE, 0), None, 0) is None
    assert standing(AbsenceRule("r", ("ERROR",), 5, MINUTE, 0), None, 0) is None
