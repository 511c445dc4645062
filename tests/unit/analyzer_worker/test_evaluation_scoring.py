"""The figures of an evaluation, against naive counting."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer_worker.evaluation.cases import Case, CaseEvent, bundled_cases
from analyzer_worker.evaluation.outcomes import Outcome, outcome_of
from analyzer_worker.evaluation.picture import html, svg
from analyzer_worker.evaluation.report import Report, some_of
from analyzer_worker.evaluation.scoring import NO_ANSWER, score, timing
from analyzer_worker.evaluation.tables import as_text
from analyzer_worker.verdict import Sample, Verdict
from schemas.analysis import CATEGORIES, SEVERITIES, Category, Evidence, Severity


def verdict(category: Category, severity: Severity = "P2", *evidence: Evidence) -> Verdict:
    return Verdict(category, severity, "s", ["a"], 0.5, list(evidence), "rules", "r", cost_usd=0.25)


def outcome(expected: Category, found: Category | None, steps: tuple[Severity, Severity] = ("P2", "P2")) -> Outcome:
    case = Case("c", "s", [CaseEvent("ERROR", "m")], expected, steps[0], "test", "dev")
    return Outcome(case, verdict(found, steps[1]) if found else None, None if found else "no reply")


OUTCOMES = st.lists(
    st.builds(
        outcome,
        st.sampled_from(CATEGORIES[:4]),
        st.one_of(st.none(), st.sampled_from(CATEGORIES[:5])),
        st.tuples(st.sampled_from(SEVERITIES), st.sampled_from(SEVERITIES)),
    ),
    min_size=1,
    max_size=30,
)


def naive_f1(outcomes: list[Outcome], category: Category) -> float:
    """The harmonic mean of precision and recall."""
    found = [each for each in outcomes if each.verdict and each.verdict.category == category]
    there = [each for each in outcomes if each.case.category == category]
    right = [each for each in found if each in there]
    if not right:
        return 0.0
    precision, recall = len(right) / len(found), len(right) / len(there)
    return 2 * precision * recall / (precision + recall)


@given(OUTCOMES)
def test_figures_equal_naive_counting(outcomes: list[Outcome]) -> None:
    """Accuracy, macro-F1 and severities, with missing verdicts counted as wrong."""
    result = score(outcomes)
    there = {each.case.category for each in outcomes}
    right = sum(each.verdict is not None and each.verdict.category == each.case.category for each in outcomes)
    pairs = [(int(e.case.severity[1]), int(e.verdict.severity[1])) for e in outcomes if e.verdict]
    assert result.accuracy == pytest.approx(right / len(outcomes), abs=1e-4)
    assert result.macro_f1 == pytest.approx(sum(naive_f1(outcomes, c) for c in there) / len(there), abs=2e-4)
    assert result.severity_exact == pytest.approx(sum(a == b for a, b in pairs) / len(outcomes), abs=1e-4)
    assert result.severity_within_one == pytest.approx(sum(abs(a - b) < 2 for a, b in pairs) / len(outcomes), abs=1e-4)
    assert result.severity_too_low == pytest.approx(sum(b > a for a, b in pairs) / len(outcomes), abs=1e-4)
    assert sum(n for row in result.confusion.values() for n in row.values()) == len(outcomes)
    assert result.answered == len(pairs)


def test_a_small_example_by_hand() -> None:
    """Two of three right; F1 of the two categories 0.8 and 0.0, so 0.4 on the average."""
    result = score(
        [
            outcome("disk_issue", "disk_issue", ("P1", "P3")),
            outcome("disk_issue", "disk_issue"),
            outcome("other", "disk_issue", ("P3", "P2")),
        ]
    )
    assert (result.accuracy, result.macro_f1) == (0.6667, 0.4)
    assert (result.severity_exact, result.severity_within_one, result.severity_too_low) == (0.3333, 0.6667, 0.3333)
    assert result.confusion == {"disk_issue": {"disk_issue": 2}, "other": {"disk_issue": 1}}
    assert result.cost_usd == 0.75


def test_a_claim_is_supported_by_its_own_event_only() -> None:
    """The quote must stand in the event that is named, letter by letter."""
    claims = [Evidence("1", "full"), Evidence("2", "full"), Evidence("3", "full"), Evidence("1", "FULL")]
    seen = outcome_of(
        bundled_cases()[0],
        verdict("disk_issue", "P1", *claims),
        [Sample("1", "ERROR", "disk full", 0), Sample("2", "ERROR", "disk", 0)],
        seconds=0.1,
        dropped=2,
        sent=["question"],
    )
    assert (seen.claims, seen.supported, seen.dropped, seen.sent) == (4, 1, 2, ("question",))


def test_times_are_ranked() -> None:
    """Median, 95th percentile and greatest of a hundred, in milliseconds."""
    case = bundled_cases()[0]
    result = timing([Outcome(case, None, "x", seconds=n / 1000) for n in range(100, 0, -1)])
    assert (result.median_ms, result.p95_ms, result.greatest_ms) == (50.5, 96.0, 100.0)


@pytest.mark.parametrize("limit", [1, 16, 20, 500])
def test_some_cases_are_taken_from_every_category_in_turn(limit: int) -> None:
    """No category has two more than another, and the same cases are taken each time."""
    chosen = some_of(bundled_cases(), limit)
    counts = [sum(case.category == category for case in chosen) for category in CATEGORIES]
    assert len(chosen) == min(limit, len(bundled_cases()))
    assert limit > 100 or max(counts) - min(counts) <= 1
    assert chosen == some_of(bundled_cases(), limit)


def report(*outcomes: Outcome, analyzer: str = "rules") -> Report:
    return Report(analyzer, {"dev": score(outcomes)}, timing(outcomes), None, {}, [])


def test_the_picture_shows_every_cell_that_is_not_empty() -> None:
    """Right, wrong and unanswered cases, each with what it means, and colours for light and dark pages."""
    drawn = svg(report(outcome("disk_issue", "disk_issue"), outcome("disk_issue", "other"), outcome("other", None)))
    assert "disk_issue found as disk_issue: 1 of 2" in drawn
    assert 'class="wrong"' in drawn
    assert f"other found as {NO_ANSWER}: 1 of 1" in drawn
    assert drawn.count("<title>") == 4
    assert "prefers-color-scheme:dark" in drawn


def test_names_cannot_break_the_page() -> None:
    """A model's name is text from outside."""
    page = html(report(outcome("other", "other"), analyzer="<script>alert(1)</script>"), "<b>")
    assert "<script>" not in page
    assert "&lt;b&gt;" in page


def test_confusions_are_listed_the_most_frequent_first() -> None:
    """As `count expected as found`."""
    outcomes = [outcome("disk_issue", "other"), outcome("other", "disk_issue"), outcome("other", "disk_issue")]
    assert "confused in dev:\n  2 other as disk_issue\n  1 disk_issue as other" in as_text(report(*outcomes))
